// Operators alone, host memory and the log callback over the C ABI, each held against the library; ends with 0 when all hold.
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "host_stream.h"
#include "plasmon.h"

static plasmon_session session;

static plasmon_expression sql(const char* text) {
  plasmon_expression expression;
  OK(plasmon_expression_sql(text, -1, &expression));
  return expression;
}

static plasmon_input of_stream(struct ArrowArrayStream* stream) {
  plasmon_input input = {stream, {0}};
  return input;
}

static plasmon_input of_query(plasmon_query query) {
  plasmon_input input = {NULL, {0}};
  input.query = query;
  return input;
}

static plasmon_query filter(plasmon_input input, const char* predicate) {
  plasmon_query query;
  OK(plasmon_operator_filter(session, input, sql(predicate), NULL, &query));
  return query;
}

static plasmon_query aggregate(plasmon_input input, const char* key, const char* call) {
  plasmon_expression keys = key ? sql(key) : (plasmon_expression){0}, calls = sql(call);
  plasmon_aggregate options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.keys = &keys;
  options.key_count = key ? 1 : 0;
  options.calls = &calls;
  options.call_count = 1;
  plasmon_query query;
  OK(plasmon_operator_aggregate(session, input, &options, NULL, &query));
  return query;
}

// Rows, and the sum of the int64 column of that ordinal; closes the query.
static int64_t read_all(plasmon_query query, int column, int64_t* rows) {
  struct ArrowArrayStream stream;
  OK(plasmon_query_stream(query, &stream));
  int64_t sum = 0;
  *rows = 0;
  for (;;) {
    struct ArrowArray batch;
    int answer = stream.get_next(&stream, &batch);
    if (answer != 0) fprintf(stderr, "%s\n", stream.get_last_error(&stream));
    EXPECT(answer == 0);
    if (!batch.release) break;
    const int64_t* values = (const int64_t*)batch.children[column]->buffers[1] + batch.children[column]->offset;
    for (int64_t row = 0; row < batch.length; row++) sum += values[row];
    *rows += batch.length;
    batch.release(&batch);
  }
  stream.release(&stream);
  OK(plasmon_query_close(query));
  return sum;
}

static void chains_run_as_one_query(void) {
  host_stream probe_host, build_host;
  struct ArrowArrayStream probe = host_open(&probe_host, 10, 1000), build = host_open(&build_host, 1, 500);
  plasmon_query even = filter(of_stream(&probe), "n % 2 = 0"), joined;
  EXPECT(probe.release == NULL);
  plasmon_expression key;
  OK(plasmon_expression_column(0, &key));
  plasmon_join join;
  memset(&join, 0, sizeof join);
  join.size = sizeof join;
  join.probe_keys = join.build_keys = &key;
  join.key_count = 1;
  OK(plasmon_operator_join(session, of_query(even), of_stream(&build), &join, NULL, &joined));
  // The filter became a part of the join.
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_query_cancel(even));
  // And closing what has not started releases all of it.
  OK(plasmon_query_close(joined));
  EXPECT(probe_host.stream_released == 1 && build_host.stream_released == 1);
}

static void answers(void) {
  int64_t rows;
  host_stream probe_host, build_host;
  struct ArrowArrayStream probe = host_open(&probe_host, 10, 1000), build = host_open(&build_host, 1, 500);
  plasmon_expression key = sql("n");
  plasmon_join join;
  memset(&join, 0, sizeof join);
  join.size = sizeof join;
  join.probe_keys = join.build_keys = &key;
  join.key_count = 1;
  uint64_t column = 1;
  join.columns = &column;
  join.column_count = 1;
  plasmon_query query;
  OK(plasmon_operator_join(session, of_query(filter(of_stream(&probe), "n % 2 = 0")), of_stream(&build), &join, NULL, &query));
  EXPECT(read_all(query, 0, &rows) == 62250 && rows == 250);
  EXPECT(probe_host.arrays_released == probe_host.arrays_made && build_host.arrays_released == build_host.arrays_made);

  // Groups, their order, the first of them.
  probe = host_open(&probe_host, 10, 1000);
  query = aggregate(of_stream(&probe), "n % 7", "count(*)");
  plasmon_order order = {{0}, 1, PLASMON_NULLS_DEFAULT};
  OK(plasmon_expression_column(1, &order.expression));
  plasmon_query sorted;
  OK(plasmon_operator_sort(session, of_query(query), &order, 1, 0, 4, NULL, &sorted));
  EXPECT(read_all(sorted, 1, &rows) == 4 * 1429 && rows == 4);

  // A window, and a limit.
  probe = host_open(&probe_host, 10, 1000);
  plasmon_expression arguments = key, window;
  plasmon_order by_n = {key, 0, PLASMON_NULLS_LAST};
  plasmon_window_clauses clauses;
  memset(&clauses, 0, sizeof clauses);
  clauses.size = sizeof clauses;
  clauses.order_by = &by_n;
  clauses.order_by_count = 1;
  clauses.frame = "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW";
  OK(plasmon_expression_window("sum", &arguments, 1, &clauses, &window));
  OK(plasmon_operator_window(session, of_stream(&probe), &window, 1, NULL, &query));
  EXPECT(read_all(query, 1, &rows) == 2 * 49995000 - 9999 && rows == 10000);
  probe = host_open(&probe_host, 10, 1000);
  OK(plasmon_operator_limit(session, of_stream(&probe), 9990, -1, NULL, &query));
  read_all(query, 0, &rows);
  EXPECT(rows == 10);

  // A projection: names, casts, literals.
  probe = host_open(&probe_host, 1, 3);
  struct ArrowArrayStream literal_stream = host_open(&build_host, 1, 1);
  struct ArrowSchema schema, child;
  struct ArrowArray array, value;
  EXPECT(literal_stream.get_schema(&literal_stream, &schema) == 0 && literal_stream.get_next(&literal_stream, &array) == 0);
  // The only column, moved out of its batch.
  child = *schema.children[0];
  value = *array.children[0];
  schema.children[0]->release = NULL;
  array.children[0]->release = NULL;
  plasmon_expression literal, sum, named, pair[2];
  OK(plasmon_expression_literal(&child, &value, &literal));
  EXPECT(child.release == NULL && value.release == NULL);
  pair[0] = key;
  pair[1] = literal;
  OK(plasmon_expression_call("+", pair, 2, &sum));
  OK(plasmon_expression_named(sum, "total", &named));
  OK(plasmon_operator_project(session, of_stream(&probe), &named, 1, NULL, &query));
  struct ArrowSchema result;
  OK(plasmon_query_schema(query, &result));
  EXPECT(result.n_children == 1 && strcmp(result.children[0]->name, "total") == 0);
  result.release(&result);
  EXPECT(read_all(query, 0, &rows) == 3 && rows == 3);
  schema.release(&schema);
  array.release(&array);
  literal_stream.release(&literal_stream);
}

static void phases(void) {
  // Two tasks aggregate in part, a third makes results of their states.
  int64_t rows;
  host_stream hosts[2];
  plasmon_expression keys = sql("n % 5"), calls = sql("sum(n)");
  plasmon_aggregate options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.keys = &keys;
  options.key_count = 1;
  options.calls = &calls;
  options.call_count = 1;
  options.phase = PLASMON_AGGREGATE_PHASE_PARTIAL;
  struct ArrowArrayStream first = host_open(&hosts[0], 3, 100), states;
  plasmon_query query;
  OK(plasmon_operator_aggregate(session, of_stream(&first), &options, NULL, &query));
  OK(plasmon_query_stream(query, &states));
  struct ArrowArrayStream again = host_open(&hosts[1], 3, 100);
  struct ArrowSchema row_schema;
  EXPECT(again.get_schema(&again, &row_schema) == 0);
  again.release(&again);
  options.phase = PLASMON_AGGREGATE_PHASE_FINAL;
  plasmon_query last;
  EXPECT_CODE(PLASMON_CODE_USER, plasmon_operator_aggregate(session, of_stream(&states), &options, NULL, &last));
  EXPECT(states.release == NULL && strstr(plasmon_last_error()->message, "schema of the rows"));
  options.rows = &row_schema;
  OK(plasmon_query_close(query));
  // The states' stream was taken and is gone: anew.
  first = host_open(&hosts[0], 3, 100);
  options.phase = PLASMON_AGGREGATE_PHASE_PARTIAL;
  options.rows = NULL;
  OK(plasmon_operator_aggregate(session, of_stream(&first), &options, NULL, &query));
  OK(plasmon_query_stream(query, &states));
  options.phase = PLASMON_AGGREGATE_PHASE_FINAL;
  options.rows = &row_schema;
  OK(plasmon_operator_aggregate(session, of_stream(&states), &options, NULL, &last));
  EXPECT(row_schema.release == NULL);
  EXPECT(read_all(last, 1, &rows) == 299 * 150 && rows == 5);
  OK(plasmon_query_close(query));
}

static void partitions(void) {
  host_stream host;
  struct ArrowArrayStream in = host_open(&host, 8, 1000), out;
  plasmon_expression key = sql("n");
  plasmon_query query;
  OK(plasmon_operator_partition(session, of_stream(&in), &key, 1, 4, NULL, &query));
  OK(plasmon_query_stream(query, &out));
  int64_t rows[4] = {0};
  for (;;) {
    struct ArrowArray batch;
    EXPECT(out.get_next(&out, &batch) == 0);
    if (!batch.release) break;
    const int32_t* numbers = (const int32_t*)batch.children[1]->buffers[1] + batch.children[1]->offset;
    EXPECT(numbers[0] >= 0 && numbers[0] < 4);
    for (int64_t row = 0; row < batch.length; row++) EXPECT(numbers[row] == numbers[0]);
    rows[numbers[0]] += batch.length;
    batch.release(&batch);
  }
  out.release(&out);
  OK(plasmon_query_close(query));
  for (int partition = 0; partition < 4; partition++) EXPECT(rows[partition] > 1000);
  EXPECT(rows[0] + rows[1] + rows[2] + rows[3] == 8000);
}

// Steps, pushes, progress, deadlines and cancellation are those of statements.
static int32_t count_rows(void* context, struct ArrowArray* array) {
  *(int64_t*)context += array->length;
  return 0;
}
static void queries_like_any_other(void) {
  host_stream host;
  struct ArrowArrayStream in = host_open(&host, 10, 100);
  plasmon_setting setting = {"driver", "inline"};
  plasmon_run_options run;
  memset(&run, 0, sizeof run);
  run.size = sizeof run;
  run.settings = &setting;
  run.setting_count = 1;
  plasmon_query query;
  plasmon_progress progress;
  char* metrics;
  OK(plasmon_operator_filter(session, of_stream(&in), sql("n < 550"), &run, &query));
  // Nothing has started.
  OK(plasmon_query_progress(query, &progress));
  EXPECT(progress.rows_read == 0 && progress.elapsed_nanos == 0 && host.arrays_made == 0);
  OK(plasmon_query_metrics(query, &metrics));
  EXPECT(strcmp(metrics, "{}") == 0);
  plasmon_text_free(metrics);
  int64_t rows = 0;
  int32_t outcome = 0;
  while (outcome != PLASMON_STEP_DONE) {
    struct ArrowArray batch;
    OK(plasmon_query_step(query, &batch, &outcome));
    if (outcome == PLASMON_STEP_BATCH) {
      rows += batch.length;
      batch.release(&batch);
    }
  }
  EXPECT(rows == 550);
  OK(plasmon_query_progress(query, &progress));
  EXPECT(progress.rows_read == 1000 && progress.elapsed_nanos > 0);
  OK(plasmon_query_metrics(query, &metrics));
  EXPECT(strstr(metrics, "Filter"));
  plasmon_text_free(metrics);
  // It has started: it is nobody's input any more.
  plasmon_query other;
  EXPECT_CODE(PLASMON_CODE_INVALID_STATE, plasmon_operator_limit(session, of_query(query), 0, 1, NULL, &other));
  OK(plasmon_query_close(query));

  in = host_open(&host, 10, 100);
  rows = 0;
  query = filter(of_stream(&in), "n >= 550");
  OK(plasmon_query_push(query, count_rows, &rows));
  EXPECT(rows == 450);
  OK(plasmon_query_close(query));

  in = host_open(&host, 10, 100);
  query = filter(of_stream(&in), "n >= 550");
  OK(plasmon_query_cancel(query));
  EXPECT_CODE(PLASMON_CODE_CANCELLED, plasmon_query_push(query, count_rows, &rows));
  OK(plasmon_query_close(query));
  EXPECT(host.stream_released == 1);

  in = host_open(&host, INT64_MAX, 100);
  run.deadline_milliseconds = 20;
  OK(plasmon_operator_filter(session, of_stream(&in), sql("n < 0"), &run, &query));
  EXPECT_CODE(PLASMON_CODE_DEADLINE, plasmon_query_push(query, count_rows, &rows));
  OK(plasmon_query_close(query));

  // Closed before it starts.
  in = host_open(&host, 10, 100);
  query = filter(of_stream(&in), "n >= 550");
  OK(plasmon_query_close(query));
  EXPECT(host.stream_released == 1 && host.arrays_made == 0);
}

static void refusals(void) {
  host_stream host, second;
  struct ArrowArrayStream in = host_open(&host, 1, 10), build;
  plasmon_query query = {77};
  plasmon_expression none = {0}, expression, key = sql("n"), bad = sql("n + nowhere");
  EXPECT_CODE(PLASMON_CODE_USER, plasmon_operator_filter(session, of_stream(&in), bad, NULL, &query));
  const plasmon_error* error = plasmon_last_error();
  EXPECT(strstr(error->message, "expression n + nowhere") && strstr(error->message, "input.n") && query.id == 77);
  EXPECT(in.release == NULL && host.stream_released == 1);
  in = host_open(&host, 1, 10);
  EXPECT_CODE(PLASMON_CODE_USER, plasmon_operator_filter(session, of_stream(&in), key, NULL, &query));
  EXPECT(strstr(plasmon_last_error()->message, "BOOLEAN") || strstr(plasmon_last_error()->message, "boolean"));
  in = host_open(&host, 1, 10);
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_operator_filter(session, of_stream(&in), none, NULL, &query));
  in = host_open(&host, 1, 10);
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_operator_filter(session, of_stream(&in), key, NULL, NULL));
  EXPECT(in.release == NULL && host.stream_released == 1);
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_operator_filter(session, of_stream(NULL), key, NULL, &query));
  in = host_open(&host, 1, 10);
  plasmon_input both = of_stream(&in);
  both.query.id = 5;
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_operator_filter(session, both, key, NULL, &query));
  // Options of no size, and of a version to come.
  plasmon_run_options run;
  memset(&run, 0, sizeof run);
  in = host_open(&host, 1, 10);
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_operator_filter(session, of_stream(&in), key, &run, &query));
  uint64_t newer[8] = {sizeof newer, 0, 0, 0, 0, 0, 0, 1};
  in = host_open(&host, 1, 10);
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_operator_filter(session, of_stream(&in), key, (const plasmon_run_options*)(const void*)newer, &query));
  newer[7] = 0;
  plasmon_expression all = sql("n >= 0");
  in = host_open(&host, 1, 10);
  OK(plasmon_operator_filter(session, of_stream(&in), all, (const plasmon_run_options*)(const void*)newer, &query));
  OK(plasmon_query_close(query));
  // Both sides are released when one is wrong; one query is not both.
  in = host_open(&host, 1, 10);
  build = host_open(&second, 1, 10);
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_operator_join(session, of_stream(&in), of_stream(&build), NULL, NULL, &query));
  EXPECT(host.stream_released == 1 && second.stream_released == 1);
  in = host_open(&host, 1, 10);
  query = filter(of_stream(&in), "n > 1");
  plasmon_join join;
  memset(&join, 0, sizeof join);
  join.size = sizeof join;
  join.kind = 77;
  plasmon_query joined;
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_operator_join(session, of_query(query), of_query(query), &join, NULL, &joined));
  EXPECT(strstr(plasmon_last_error()->message, "both inputs"));
  build = host_open(&second, 1, 10);
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_operator_join(session, of_query(query), of_stream(&build), &join, NULL, &joined));
  EXPECT(strstr(plasmon_last_error()->message, "plasmon_join_kind"));
  // A call that fails leaves the query as it was.
  int64_t rows;
  EXPECT(read_all(query, 0, &rows) == 44 && rows == 8);
  // A statement's query is no input.
  plasmon_statement statement;
  OK(plasmon_statement_open(session, &statement));
  OK(plasmon_statement_set_sql(statement, "SELECT 1 AS n", -1));
  OK(plasmon_statement_execute(statement, &query));
  EXPECT_CODE(PLASMON_CODE_INVALID_STATE, plasmon_operator_limit(session, of_query(query), 0, 1, NULL, &joined));
  OK(plasmon_query_close(query));
  OK(plasmon_statement_close(statement));
  // Expressions.
  EXPECT_CODE(PLASMON_CODE_USER, plasmon_expression_sql("n +", -1, &expression));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_expression_name(NULL, &expression));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_expression_call("+", NULL, 2, &expression));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_expression_call("+", &key, UINT64_MAX, &expression));
  EXPECT_CODE(PLASMON_CODE_USER, plasmon_expression_call("between", &key, 1, &expression));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_expression_literal(NULL, NULL, &expression));
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_expression_close(none));
  OK(plasmon_expression_close(key));
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_expression_named(key, "k", &expression));
}

// A host's memory: how much it gave, and what it does when asked.
typedef struct host_memory {
  int64_t limit, given, most;
  int64_t elsewhere;  // what `spill` can free
  int reserves, refusals, spills, closed;
  plasmon_session spill_in;  // a session that `reserve` and `closed` ask to spill, from inside
} host_memory;

static void spill_inside(const host_memory* host) {
  uint64_t freed;
  if (host->spill_in.id) OK(plasmon_session_spill(host->spill_in, 1, &freed));
}

static int32_t host_reserve(void* context, uint64_t bytes) {
  host_memory* host = (host_memory*)context;
  __atomic_fetch_add(&host->reserves, 1, __ATOMIC_RELAXED);
  spill_inside(host);
  int64_t given = __atomic_add_fetch(&host->given, (int64_t)bytes, __ATOMIC_SEQ_CST);
  if (given > host->limit - __atomic_load_n(&host->elsewhere, __ATOMIC_SEQ_CST)) {
    __atomic_fetch_sub(&host->given, (int64_t)bytes, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&host->refusals, 1, __ATOMIC_RELAXED);
    return 1;
  }
  if (given > host->most) host->most = given;
  return 0;
}
static void host_release_memory(void* context, uint64_t bytes) {
  int64_t left = __atomic_sub_fetch(&((host_memory*)context)->given, (int64_t)bytes, __ATOMIC_SEQ_CST);
  EXPECT(left >= 0);
}
static uint64_t host_spill(void* context, uint64_t bytes) {
  host_memory* host = (host_memory*)context;
  (void)bytes;
  host->spills++;
  return (uint64_t)__atomic_exchange_n(&host->elsewhere, 0, __ATOMIC_SEQ_CST);
}
static void host_closed(void* context) {
  spill_inside((host_memory*)context);
  ((host_memory*)context)->closed++;
}

static plasmon_memory memory_of(host_memory* host, int64_t limit) {
  memset(host, 0, sizeof *host);
  host->limit = limit;
  plasmon_memory memory = {sizeof memory, host, host_reserve, host_release_memory, host_spill, host_closed};
  return memory;
}

static plasmon_query groups_of(host_stream* host, int64_t batches) {
  struct ArrowArrayStream in = host_open(host, batches, 10000);
  return aggregate(of_stream(&in), "n", "count(*)");
}

static void host_memory_is_asked_and_gets_all_back(void) {
  host_memory host;
  host_stream stream;
  int64_t rows;
  plasmon_memory memory = memory_of(&host, INT64_C(1) << 40);
  OK(plasmon_session_set_memory(session, &memory));
  EXPECT(read_all(groups_of(&stream, 50), 1, &rows) == 500000 && rows == 500000);
  EXPECT(host.given == 0 && host.most > 4000000 && host.reserves > 0 && host.reserves < 200);
  EXPECT(host.spills == 0 && host.closed == 0);

  // Refused: groups go to disk.
  memory = memory_of(&host, 9000000);
  OK(plasmon_session_set_memory(session, &memory));
  EXPECT(read_all(groups_of(&stream, 200), 1, &rows) == 2000000 && rows == 2000000);
  EXPECT(host.refusals > 0 && host.spills > 0 && host.given == 0);

  // What cannot go to disk, one value of all rows, is an error that names who holds what.
  memory = memory_of(&host, 9000000);
  OK(plasmon_session_set_memory(session, &memory));
  struct ArrowArrayStream values = host_open(&stream, 200, 10000);
  plasmon_query query = aggregate(of_stream(&values), NULL, "array_agg(n)");
  EXPECT_CODE(PLASMON_CODE_OUT_OF_MEMORY, plasmon_query_push(query, count_rows, &rows));
  EXPECT(strstr(plasmon_last_error()->message, "Aggregate:") && strstr(plasmon_last_error()->message, "the host refused"));
  EXPECT(host.refusals > 0 && host.spills > 0);
  OK(plasmon_query_close(query));
  EXPECT(host.given == 0);

  // Refused at first, given when the host has freed something elsewhere.
  memory = memory_of(&host, INT64_C(1) << 40);
  host.elsewhere = INT64_C(1) << 40;
  OK(plasmon_session_set_memory(session, &memory));
  EXPECT(read_all(groups_of(&stream, 20), 1, &rows) == 200000 && host.spills == 1 && host.given == 0);

  // Cancelled, and left, in the middle.
  memory = memory_of(&host, INT64_C(1) << 40);
  OK(plasmon_session_set_memory(session, &memory));
  struct ArrowArrayStream in = host_open(&stream, 100, 10000);
  plasmon_order order = {sql("n"), 1, 0};
  OK(plasmon_operator_sort(session, of_stream(&in), &order, 1, 0, -1, NULL, &query));
  struct ArrowArrayStream out;
  struct ArrowArray batch;
  OK(plasmon_query_stream(query, &out));
  EXPECT(out.get_next(&out, &batch) == 0 && batch.release);
  EXPECT(host.given > 0);
  // It gives back what it does not use, while it runs.
  uint64_t freed = 77;
  int64_t before = host.given;
  OK(plasmon_session_spill(session, UINT64_MAX, &freed));
  EXPECT((int64_t)freed <= before && host.given <= before);
  OK(plasmon_query_cancel(query));
  out.release(&out);
  OK(plasmon_query_close(query));
  EXPECT(host.given == 0);
  EXPECT(((const int64_t*)batch.children[0]->buffers[1])[batch.children[0]->offset] == 999999);
  batch.release(&batch);

  // The host's stream fails.
  in = host_open(&stream, 100, 10000);
  stream.fail_after = 50;
  OK(plasmon_operator_sort(session, of_stream(&in), &order, 1, 0, -1, NULL, &query));
  EXPECT_CODE(PLASMON_CODE_HOST, plasmon_query_push(query, count_rows, &rows));
  OK(plasmon_query_close(query));
  EXPECT(host.given == 0);

  // From inside the callback: spilling.
  host.spill_in = session;
  EXPECT(read_all(groups_of(&stream, 50), 1, &rows) == 500000 && host.given == 0);

  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_session_spill(session, 1, NULL));
  memory.reserve = NULL;
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_session_set_memory(session, &memory));
  // One that was replaced told so, too; this counts the last one's word.
  host.closed = 0;
  OK(plasmon_session_set_memory(session, NULL));
  EXPECT(host.closed == 1);
  OK(plasmon_session_spill(session, 1, &freed));
  EXPECT(freed == 0);
}

typedef struct log_book {
  int records, started, finished, failed, inside;
  char last[512];
  int replace;  // from inside: forgets itself
} log_book;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void write_log(void* context, int32_t level, const char* target, const char* message) {
  log_book* book = (log_book*)context;
  __atomic_fetch_add(&book->inside, 1, __ATOMIC_SEQ_CST);
  pthread_mutex_lock(&log_lock);
  EXPECT(level >= PLASMON_LOG_LEVEL_ERROR && level <= PLASMON_LOG_LEVEL_TRACE && strncmp(target, "plasmon", 7) == 0);
  book->records++;
  book->started += strstr(message, " started") != NULL;
  book->finished += strstr(message, " finished") != NULL;
  book->failed += strstr(message, " failed") != NULL;
  snprintf(book->last, sizeof book->last, "%s", message);
  // Any function may be called; what it does is not logged.
  plasmon_session other;
  OK(plasmon_session_open(&other));
  OK(plasmon_session_close(other));
  pthread_mutex_unlock(&log_lock);
  if (book->replace) {
    book->replace = 0;
    OK(plasmon_set_log(NULL, NULL, PLASMON_LOG_LEVEL_OFF));
  }
  __atomic_fetch_sub(&book->inside, 1, __ATOMIC_SEQ_CST);
}

static volatile int running;
static void* run_queries(void* unused) {
  (void)unused;
  while (running) {
    host_stream host;
    int64_t rows;
    struct ArrowArrayStream in = host_open(&host, 1, 10);
    read_all(filter(of_stream(&in), "n > 3"), 0, &rows);
  }
  return NULL;
}

static void the_log_is_told(void) {
  host_stream host;
  int64_t rows;
  log_book book = {0};
  OK(plasmon_set_log(write_log, &book, PLASMON_LOG_LEVEL_INFO));
  struct ArrowArrayStream in = host_open(&host, 1, 10);
  read_all(filter(of_stream(&in), "n > 3"), 0, &rows);
  EXPECT(book.records == 2 && book.started == 1 && book.finished == 1 && strstr(book.last, "6 rows"));
  in = host_open(&host, 1, 10);
  plasmon_query query = filter(of_stream(&in), "1 / (n - 5) = 0");
  EXPECT_CODE(PLASMON_CODE_DATA, plasmon_query_push(query, count_rows, &rows));
  OK(plasmon_query_close(query));
  EXPECT(book.failed == 1 && strstr(book.last, "zero"));
  // Failures alone.
  OK(plasmon_set_log(write_log, &book, PLASMON_LOG_LEVEL_WARN));
  in = host_open(&host, 1, 10);
  read_all(filter(of_stream(&in), "n > 3"), 0, &rows);
  EXPECT(book.records == 4);
  // Replaced from inside.
  OK(plasmon_set_log(write_log, &book, PLASMON_LOG_LEVEL_INFO));
  book.replace = 1;
  in = host_open(&host, 1, 10);
  read_all(filter(of_stream(&in), "n > 3"), 0, &rows);
  EXPECT(book.records == 5);
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_set_log(write_log, &book, 9));
  // Replaced while others are inside: when the call returns, the old one is not called any more.
  pthread_t threads[2];
  running = 1;
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, run_queries, NULL);
  for (int round = 0; round < 300; round++) {
    log_book* short_lived = (log_book*)calloc(1, sizeof *short_lived);
    OK(plasmon_set_log(write_log, short_lived, PLASMON_LOG_LEVEL_INFO));
    if (round % 3 == 0) while (__atomic_load_n(&short_lived->records, __ATOMIC_RELAXED) == 0) {}
    OK(plasmon_set_log(NULL, NULL, PLASMON_LOG_LEVEL_INFO));
    EXPECT(__atomic_load_n(&short_lived->inside, __ATOMIC_SEQ_CST) == 0);
    memset(short_lived, 0xff, sizeof *short_lived);
    free(short_lived);
  }
  running = 0;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
}

int main(void) {
  OK(plasmon_check_abi(PLASMON_ABI_VERSION));
  OK(plasmon_session_open(&session));
  OK(plasmon_session_set(session, "threads", "2"));
  chains_run_as_one_query();
  const char* drivers[] = {"pool", "inline"};
  for (int i = 0; i < 2; i++) {
    OK(plasmon_session_set(session, "driver", drivers[i]));
    answers();
    phases();
    partitions();
    queries_like_any_other();
    refusals();
    host_memory_is_asked_and_gets_all_back();
    the_log_is_told();
  }
  OK(plasmon_session_close(session));
  puts("all holds");
  return 0;
}
