// The rules of ABI.md, each held against the library; ends with 0 when all hold.
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "expect.h"
#include "host_stream.h"
#include "plasmon.h"

static plasmon_session session;

static plasmon_statement statement_of(const char* sql) {
  plasmon_statement statement;
  OK(plasmon_statement_open(session, &statement));
  OK(plasmon_statement_set_sql(statement, sql, -1));
  return statement;
}

static plasmon_query run(plasmon_statement statement) {
  plasmon_query query;
  OK(plasmon_statement_execute(statement, &query));
  return query;
}

// The one int64 of a result of one row.
static int64_t number(plasmon_query query) {
  struct ArrowArrayStream stream;
  struct ArrowArray batch;
  OK(plasmon_query_stream(query, &stream));
  int answer = stream.get_next(&stream, &batch);
  if (answer != 0) fprintf(stderr, "%s\n", stream.get_last_error(&stream));
  EXPECT(answer == 0 && batch.release != NULL && batch.length == 1);
  int64_t value = ((const int64_t*)batch.children[0]->buffers[1])[batch.children[0]->offset];
  batch.release(&batch);
  EXPECT(stream.get_next(&stream, &batch) == 0 && batch.release == NULL);
  stream.release(&stream);
  EXPECT(stream.release == NULL);
  return value;
}

static int64_t ask(const char* sql) {
  plasmon_statement statement = statement_of(sql);
  plasmon_query query = run(statement);
  int64_t value = number(query);
  OK(plasmon_query_close(query));
  OK(plasmon_statement_close(statement));
  return value;
}

static void versions(void) {
  EXPECT(plasmon_abi_version() == PLASMON_ABI_VERSION);
  OK(plasmon_check_abi(PLASMON_ABI_VERSION));
  EXPECT_CODE(PLASMON_CODE_UNSUPPORTED_VERSION, plasmon_check_abi(PLASMON_ABI_VERSION + 1));
  EXPECT_CODE(PLASMON_CODE_UNSUPPORTED_VERSION, plasmon_check_abi(2 << 16));
  EXPECT(strstr(plasmon_last_error()->message, "ABI 2.0"));
  EXPECT(strstr(plasmon_features(), "\"simd\""));
  EXPECT(strcmp(plasmon_code_name(PLASMON_CODE_BUSY), "busy") == 0);
  EXPECT(strcmp(plasmon_code_name(-7), "unknown") == 0);
}

static void errors(void) {
  plasmon_statement statement = statement_of("SELECT 1 FROM nowhere");
  plasmon_query query = {77};
  EXPECT_CODE(PLASMON_CODE_USER, plasmon_statement_execute(statement, &query));
  EXPECT(query.id == 77);  // untouched
  const plasmon_error* error = plasmon_last_error();
  EXPECT(error->code == PLASMON_CODE_USER && error->error_class == PLASMON_CLASS_USER);
  EXPECT(strstr(error->message, "nowhere"));
  OK(plasmon_statement_set_sql(statement, "SELECT 1 / (value - 5) FROM generate_series(1, 10)", -1));
  query = run(statement);
  struct ArrowArrayStream stream;
  struct ArrowArray batch;
  OK(plasmon_query_stream(query, &stream));
  EXPECT(stream.get_next(&stream, &batch) != 0);
  EXPECT(strstr(stream.get_last_error(&stream), "zero"));
  stream.release(&stream);
  OK(plasmon_query_close(query));
  OK(plasmon_statement_close(statement));
}

static void nulls_and_garbage(void) {
  plasmon_session closed = {0}, invented = {UINT64_C(0x0100000012345678)};
  plasmon_statement statement = statement_of("SELECT 1 AS n"), none = {0};
  plasmon_query query = run(statement), no_query = {0};
  struct ArrowSchema schema;
  struct ArrowArray array;
  struct ArrowArrayStream stream;
  int32_t outcome;
  char* text;
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_session_open(NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_session_close(closed));
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_session_close(invented));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_session_set(session, NULL, "1"));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_session_set(session, "threads", NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_session_set(session, "threads", "\xff"));
  EXPECT_CODE(PLASMON_CODE_USER, plasmon_session_set(session, "threads", "0"));
  EXPECT_CODE(PLASMON_CODE_USER, plasmon_session_set(session, "speed", "11"));
  EXPECT_CODE(PLASMON_CODE_IO, plasmon_session_register_path(session, "t", "/nowhere/at/all.parquet"));
  EXPECT_CODE(PLASMON_CODE_USER, plasmon_session_deregister(session, "nowhere"));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_session_register_stream(session, "t", NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_statement_open(session, NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_statement_open(closed, &none));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_statement_set_sql(statement, NULL, 5));
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_statement_set_sql(none, "SELECT 1", -1));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_statement_bind_parameters(statement, NULL, NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_statement_schema(statement, NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_statement_explain(statement, 9, &text));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_statement_execute(statement, NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_query_schema(query, NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_query_schema(no_query, &schema));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_query_stream(query, NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_query_next(query, NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_query_next(no_query, &array));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_query_push(query, NULL, NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_query_step(query, NULL, &outcome));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_query_step(query, &array, NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_query_progress(query, NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_query_metrics(query, NULL));
  // A handle of another kind is named.
  plasmon_query wrong = {session.id};
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_query_cancel(wrong));
  EXPECT(strstr(plasmon_last_error()->message, "a session"));
  // Out of order, and twice.
  OK(plasmon_query_stream(query, &stream));
  EXPECT_CODE(PLASMON_CODE_INVALID_STATE, plasmon_query_stream(query, &stream));
  EXPECT_CODE(PLASMON_CODE_INVALID_STATE, plasmon_query_step(query, &array, &outcome));
  EXPECT_CODE(PLASMON_CODE_INVALID_STATE, plasmon_query_next(query, &array));
  stream.release(&stream);
  OK(plasmon_query_close(query));
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_query_close(query));
  OK(plasmon_statement_close(statement));
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_statement_close(statement));
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_statement_execute(statement, &query));
  OK(plasmon_statement_open(session, &statement));
  EXPECT_CODE(PLASMON_CODE_INVALID_STATE, plasmon_statement_execute(statement, &query));
  OK(plasmon_statement_close(statement));
  plasmon_text_free(NULL);
}

static void streams_in(void) {
  host_stream host;
  struct ArrowArrayStream stream = host_open(&host, 10, 1000);
  OK(plasmon_session_register_stream(session, "numbers", &stream));
  EXPECT(stream.release == NULL && host.stream_released == 1 && host.schemas_released == 1 && host.arrays_made == 10);
  EXPECT(ask("SELECT sum(n) FROM numbers") == 9999 * 5000);
  EXPECT(ask("SELECT count(*) FROM numbers WHERE n >= 9990") == 10);
  EXPECT(host.arrays_released == 0);  // the table reads the host's own buffers
  OK(plasmon_session_deregister(session, "numbers"));
  EXPECT(host.arrays_released == 10);

  // For one statement alone, batch by batch, in place of a table of that name.
  plasmon_statement statement = statement_of("SELECT count(*) FROM Input WHERE n % 2 = 0");
  stream = host_open(&host, 7, 3);
  OK(plasmon_statement_bind_stream(statement, "INPUT", &stream));
  EXPECT(stream.release == NULL);
  plasmon_query query = run(statement);
  EXPECT(number(query) == 11);
  EXPECT(host.arrays_released == 7 && host.stream_released == 1);
  OK(plasmon_query_close(query));
  EXPECT_CODE(PLASMON_CODE_USER, plasmon_statement_execute(statement, &query));  // used up
  EXPECT(strstr(plasmon_last_error()->message, "once"));
  stream = host_open(&host, 7, 3);
  OK(plasmon_statement_bind_stream(statement, "input", &stream));
  OK(plasmon_statement_close(statement));  // releases what no query took
  EXPECT(host.stream_released == 1 && host.arrays_made == 0);

  // The host's failure comes back with its words.
  stream = host_open(&host, 7, 3);
  host.fail_after = 2;
  EXPECT_CODE(PLASMON_CODE_HOST, plasmon_session_register_stream(session, "broken", &stream));
  EXPECT(strstr(plasmon_last_error()->message, "disk is gone"));
  EXPECT(host.stream_released == 1 && host.arrays_released == 2);
  // Taken over whatever else is wrong.
  stream = host_open(&host, 7, 3);
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_session_register_stream(session, NULL, &stream));
  EXPECT(host.stream_released == 1);
}

// The very bytes that came in go out.
static int calls_at_release;
static void call_at_release(void) {
  plasmon_statement statement = statement_of("SELECT n FROM held");
  struct ArrowSchema schema;
  if (plasmon_statement_schema(statement, &schema) == PLASMON_CODE_OK) schema.release(&schema);
  plasmon_session_deregister(session, "nothing");
  OK(plasmon_statement_close(statement));
  calls_at_release++;
}

// A table that is replaced or forgotten is released outside of the session's locks: its host may call the session from there.
static void calls_from_release(void) {
  host_stream hosts[2];
  for (int time = 0; time < 2; time++) {
    struct ArrowArrayStream stream = host_open(&hosts[time], 1, 3);
    hosts[time].at_release = call_at_release;
    OK(plasmon_session_register_stream(session, "held", &stream));
  }
  EXPECT(calls_at_release == 1);
  OK(plasmon_session_deregister(session, "held"));
  EXPECT(calls_at_release == 2);
}

static void no_copies(void) {
  host_stream host;
  struct ArrowArrayStream stream = host_open(&host, 1, 4096), out;
  plasmon_statement statement = statement_of("SELECT n FROM input");
  OK(plasmon_statement_set(statement, "driver", "inline"));
  OK(plasmon_statement_bind_stream(statement, "input", &stream));
  plasmon_query query = run(statement);
  struct ArrowArray batch;
  OK(plasmon_query_stream(query, &out));
  EXPECT(out.get_next(&out, &batch) == 0 && batch.length == 4096);
  EXPECT(batch.children[0]->buffers[1] == host.last_values);
  // A batch outlives its stream, its query and its statement.
  out.release(&out);
  OK(plasmon_query_close(query));
  OK(plasmon_statement_close(statement));
  EXPECT(host.arrays_released == 0 && ((const int64_t*)batch.children[0]->buffers[1])[4095] == 4095);
  batch.release(&batch);
  EXPECT(host.arrays_released == 1 && host.stream_released == 1);
}

static int32_t sum_rows(void* context, struct ArrowArray* array) {
  *(int64_t*)context += array->length;
  return 0;
}
static int32_t refuse(void* context, struct ArrowArray* array) {
  (void)context, (void)array;
  return 42;
}
static int32_t call_again(void* context, struct ArrowArray* array) {
  (void)array;
  return plasmon_query_push(*(plasmon_query*)context, sum_rows, NULL) == PLASMON_CODE_BUSY ? 0 : 1;
}

static void ways_out(void) {
  plasmon_statement statement = statement_of("SELECT value FROM generate_series(1, 100000)");
  plasmon_query query = run(statement);
  int64_t rows = 0;
  OK(plasmon_query_push(query, sum_rows, &rows));
  EXPECT(rows == 100000);
  OK(plasmon_query_close(query));
  query = run(statement);
  EXPECT_CODE(PLASMON_CODE_HOST, plasmon_query_push(query, refuse, NULL));
  EXPECT(strstr(plasmon_last_error()->message, "42"));
  OK(plasmon_query_close(query));
  query = run(statement);
  OK(plasmon_query_push(query, call_again, &query));
  OK(plasmon_query_close(query));

  // Batch by batch, released at the end and ever after.
  query = run(statement);
  rows = 0;
  for (int ends = 0; ends < 2;) {
    struct ArrowArray batch;
    OK(plasmon_query_next(query, &batch));
    ends += batch.release == NULL;
    if (batch.release == NULL) continue;
    rows += batch.length;
    batch.release(&batch);
  }
  EXPECT(rows == 100000);
  OK(plasmon_query_close(query));

  // Step by step on this thread.
  OK(plasmon_statement_set(statement, "driver", "inline"));
  query = run(statement);
  int moves = 0;
  for (rows = 0;;) {
    struct ArrowArray batch;
    int32_t outcome;
    OK(plasmon_query_step(query, &batch, &outcome));
    if (outcome == PLASMON_STEP_DONE) break;
    moves++;
    if (outcome != PLASMON_STEP_BATCH) continue;
    rows += batch.length;
    batch.release(&batch);
  }
  EXPECT(rows == 100000 && moves > 20);
  plasmon_progress progress;
  OK(plasmon_query_progress(query, &progress));
  EXPECT(progress.rows_read == 100000 && progress.rows_total == 100000 && progress.elapsed_nanos > 0);
  char* metrics;
  OK(plasmon_query_metrics(query, &metrics));
  EXPECT(strstr(metrics, "\"rows\": 100000"));
  plasmon_text_free(metrics);
  OK(plasmon_query_close(query));

  char* plan;
  OK(plasmon_statement_explain(statement, PLASMON_EXPLAIN_FORMAT_TEXT, &plan));
  EXPECT(strlen(plan) > 10);
  plasmon_text_free(plan);
  struct ArrowSchema schema;
  OK(plasmon_statement_schema(statement, &schema));
  EXPECT(strcmp(schema.format, "+s") == 0 && strcmp(schema.children[0]->name, "value") == 0);
  schema.release(&schema);
  OK(plasmon_statement_close(statement));
}

static void parameters(void) {
  host_stream host;
  host_open(&host, 1, 1);
  host.next = 41;
  struct ArrowArrayStream stream = {host_get_schema, host_get_next, host_get_last_error, host_release_stream, &host};
  struct ArrowSchema schema;
  struct ArrowArray row;
  EXPECT(stream.get_schema(&stream, &schema) == 0 && stream.get_next(&stream, &row) == 0);
  plasmon_statement statement = statement_of("SELECT $1 + 1");
  OK(plasmon_statement_bind_parameters(statement, &schema, &row));
  EXPECT(schema.release == NULL && row.release == NULL);
  plasmon_query query = run(statement);
  EXPECT(number(query) == 42);
  OK(plasmon_query_close(query));
  OK(plasmon_statement_close(statement));
  EXPECT(host.arrays_released == 1 && host.schemas_released == 1);
}

static void plans(void) {
  // There and back: over a table of the session, and over a stream that is bound by name.
  plasmon_statement statement = statement_of("CREATE TABLE planned AS SELECT value AS n FROM generate_series(1, 100)");
  OK(plasmon_query_close(run(statement)));
  OK(plasmon_statement_set_sql(statement, "SELECT sum(n) FROM planned WHERE n > 50", -1));
  plasmon_bytes plan = {0, 0};
  OK(plasmon_statement_plan(statement, &plan));
  EXPECT(plan.data != NULL && plan.length > 0);
  OK(plasmon_statement_set_plan(statement, plan.data, plan.length));
  struct ArrowSchema schema;
  OK(plasmon_statement_schema(statement, &schema));
  EXPECT(schema.n_children == 1);
  schema.release(&schema);
  char* text = NULL;
  OK(plasmon_statement_explain(statement, PLASMON_EXPLAIN_FORMAT_TEXT, &text));
  EXPECT(strstr(text, "Scan planned"));
  plasmon_text_free(text);
  plasmon_query query = run(statement);
  EXPECT(number(query) == 3775);
  OK(plasmon_query_close(query));
  host_stream host;
  struct ArrowArrayStream stream = host_open(&host, 10, 100);
  OK(plasmon_statement_bind_stream(statement, "planned", &stream));
  query = run(statement);
  EXPECT(number(query) == 498225);
  OK(plasmon_query_close(query));

  // What is wrong is told with its node, and changes nothing.
  plan.data[plan.length - 1] ^= 0x55;
  OK(plasmon_statement_set_plan(statement, plan.data, plan.length / 2));
  query.id = 77;
  EXPECT_CODE(PLASMON_CODE_USER, plasmon_statement_execute(statement, &query));
  EXPECT(query.id == 77 && strcmp(plasmon_last_error()->plan_path, "plan") == 0);
  static const uint8_t newer[] = {0x08, 0x63};  // version 99
  OK(plasmon_statement_set_plan(statement, newer, sizeof newer));
  EXPECT_CODE(PLASMON_CODE_UNSUPPORTED, plasmon_statement_execute(statement, &query));
  EXPECT(strstr(plasmon_last_error()->message, "version 99"));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_statement_set_plan(statement, NULL, 5));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_statement_plan(statement, NULL));
  plasmon_statement none = {0};
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_statement_set_plan(none, newer, sizeof newer));
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_statement_plan(none, &plan));
  OK(plasmon_statement_set_sql(statement, "SET threads = 2", -1));
  EXPECT_CODE(PLASMON_CODE_USER, plasmon_statement_plan(statement, &plan));

  // Bytes are freed once, however often.
  plasmon_bytes_free(&plan);
  EXPECT(plan.data == NULL && plan.length == 0);
  plasmon_bytes_free(&plan);
  plasmon_bytes_free(NULL);
  OK(plasmon_statement_close(statement));
}

static const char* ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";

static void* push_endless(void* argument) {
  int64_t rows = 0;
  int32_t code = plasmon_query_push(*(plasmon_query*)argument, sum_rows, &rows);
  return (void*)(intptr_t)code;
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static int get_next_behind_gate(struct ArrowArrayStream* stream, struct ArrowArray* out) {
  pthread_mutex_lock(&gate);
  pthread_mutex_unlock(&gate);
  return host_get_next(stream, out);
}

static void stops(void) {
  plasmon_statement statement = statement_of(ENDLESS);
  for (int closes = 0; closes < 2; closes++) {
    plasmon_query query = run(statement);
    pthread_t thread;
    void* code;
    EXPECT(pthread_create(&thread, NULL, push_endless, &query) == 0);
    struct timespec moment = {0, 20000000};
    nanosleep(&moment, NULL);
    if (closes) {
      OK(plasmon_query_close(query));
    } else {
      OK(plasmon_query_cancel(query));
    }
    EXPECT(pthread_join(thread, &code) == 0);
    // The thread may have come to the handle after it was closed.
    EXPECT((intptr_t)code == PLASMON_CODE_CANCELLED || (closes && (intptr_t)code == PLASMON_CODE_INVALID_HANDLE));
    if (!closes) OK(plasmon_query_close(query));
  }
  // A stream may close the query that reads it, although it runs on a thread of that query.
  for (int round = 0; round < 20; round++) {
    host_stream host;
    struct ArrowArrayStream stream = host_open(&host, 1000, 100);
    plasmon_statement closing = statement_of("SELECT a.n FROM generate_series(1, 100000) g JOIN input a ON a.n = g.value");
    // Wait for the host, which does not know the query before it runs.
    pthread_mutex_lock(&gate);
    stream.get_next = get_next_behind_gate;
    OK(plasmon_statement_bind_stream(closing, "input", &stream));
    plasmon_query query = run(closing);
    host.closes = query;
    pthread_mutex_unlock(&gate);
    OK(plasmon_statement_close(closing));
    while (!__atomic_load_n(&host.stream_released, __ATOMIC_ACQUIRE)) {
      struct timespec moment = {0, 1000000};
      nanosleep(&moment, NULL);
    }
    EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_query_close(query));
  }
  OK(plasmon_statement_set_deadline(statement, 20));
  plasmon_query query = run(statement);
  int64_t rows = 0;
  EXPECT_CODE(PLASMON_CODE_DEADLINE, plasmon_query_push(query, sum_rows, &rows));
  OK(plasmon_query_close(query));
  // A stream that is released early stops what runs.
  OK(plasmon_statement_set_deadline(statement, 0));
  query = run(statement);
  struct ArrowArrayStream stream;
  OK(plasmon_query_stream(query, &stream));
  stream.release(&stream);
  OK(plasmon_query_close(query));
  OK(plasmon_statement_close(statement));
  OK(plasmon_session_set(session, "memory_bytes", "1000000"));
  statement = statement_of("SELECT array_agg(value) FROM generate_series(1, 10000000)");
  query = run(statement);
  EXPECT_CODE(PLASMON_CODE_OUT_OF_MEMORY, plasmon_query_push(query, sum_rows, &rows));
  OK(plasmon_query_close(query));
  OK(plasmon_statement_close(statement));
  OK(plasmon_session_set(session, "memory_bytes", "none"));
}

// Many threads on one session, each with statements of its own.
static void* many(void* argument) {
  (void)argument;
  for (int round = 0; round < 50; round++) EXPECT(ask("SELECT sum(value) FROM generate_series(1, 1000)") == 500500);
  return NULL;
}

static void threads(void) {
  pthread_t all[8];
  for (int i = 0; i < 8; i++) EXPECT(pthread_create(&all[i], NULL, many, NULL) == 0);
  for (int i = 0; i < 8; i++) EXPECT(pthread_join(all[i], NULL) == 0);
}

int main(void) {
  EXPECT(plasmon_last_error() == NULL);
  OK(plasmon_session_open(&session));
  versions();
  errors();
  nulls_and_garbage();
  streams_in();
  calls_from_release();
  no_copies();
  ways_out();
  parameters();
  plans();
  stops();
  threads();
  OK(plasmon_session_close(session));
  puts("all rules hold");
  return 0;
}
