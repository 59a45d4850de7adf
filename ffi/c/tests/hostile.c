// A caller that does everything wrong: random calls with valid, closed, foreign and invented handles, null and garbage arguments, out of order and from
// several threads, with streams whose structs are malformed in every way that can be seen. Whatever it does, the answer is a code of the table, and
// everything that it handed over is released once.
//
//   hostile CALLS [SEED]
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host_stream.h"
#include "plasmon.h"

enum { SLOTS = 8, THREADS = 2 };

// A thread's own generator: xorshift64*.
static _Thread_local uint64_t state;
static uint64_t next_random(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * UINT64_C(2685821657736338717);
}
static uint64_t below(uint64_t bound) { return (next_random() >> 11) % bound; }
static int one_in(uint64_t chances) { return below(chances) == 0; }

// Handles that were given once, open or closed, of all kinds and all threads.
static uint64_t given[3][SLOTS];
static uint64_t some_handle(int kind) {
  switch (below(12)) {
    case 0: return 0;
    case 1: return next_random();
    case 2: return __atomic_load_n(&given[below(3)][below(SLOTS)], __ATOMIC_RELAXED);
    case 3: return __atomic_load_n(&given[kind][below(SLOTS)], __ATOMIC_RELAXED) + 1;
    default: return __atomic_load_n(&given[kind][below(SLOTS)], __ATOMIC_RELAXED);
  }
}
static void keep(int kind, uint64_t handle) { __atomic_store_n(&given[kind][below(SLOTS)], handle, __ATOMIC_RELAXED); }

static uint64_t counts[32];
static void note(int32_t code, const char* call) {
  if (code < 0 || code > 20 || strcmp(plasmon_code_name(code), "unknown") == 0 || code == PLASMON_CODE_INTERNAL) {
    fprintf(stderr, "%s gave %d: %s\n", call, code, plasmon_last_error() ? plasmon_last_error()->message : "no message");
    abort();
  }
  if (code != PLASMON_CODE_OK && (!plasmon_last_error() || plasmon_last_error()->code != code)) {
    fprintf(stderr, "%s gave %d and another last error\n", call, code);
    abort();
  }
  __atomic_fetch_add(&counts[code], 1, __ATOMIC_RELAXED);
}
#define CALL(call) note(call, #call)

static const char* some_text(void) {
  static const char* texts[] = {
      "", "t", "u", "input", "threads", "driver", "memory_bytes", "inline", "pool", "1", "2", "0", "-1", "none", "100000", "\xff\xfe", "a\"b;'",
      "SELECT 1", "SELECT", "SELECT n FROM input", "SELECT count(*) FROM input a JOIN input b ON a.n = b.n", "SELECT sum(n) FROM t",
      "SELECT value, count(*) FROM generate_series(1, 5000) GROUP BY 1", "SELECT $1 + 1", "CREATE OR REPLACE TABLE t AS SELECT 1 AS n",
      "DROP TABLE t", "SELECT 1/0", "SELECT * FROM generate_series(1, 2000) a, generate_series(1, 2000) b", "SHOW ALL", "EXPLAIN SELECT n FROM t",
      "/nowhere/at/all.parquet", "WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM r WHERE x < 100) SELECT * FROM r"};
  return one_in(12) ? NULL : texts[below(sizeof texts / sizeof *texts)];
}

static void spoil_schema(struct ArrowSchema* schema, uint64_t choice) {
  static const char* formats[] = {"", "q", "w:-4", "d:99,2", "+s", "+l", "+m", "+w:x", "tsx:", "\xff", "u", "vu", "+ud:1", "b"};
  struct ArrowSchema* child = schema->children[0];
  switch (choice % 9) {
    case 0: schema->n_children = -1; break;
    case 1: schema->children = NULL; break;
    case 2: schema->children[0] = NULL; break;
    case 3: child->format = NULL; break;
    case 4: child->format = formats[choice / 9 % (sizeof formats / sizeof *formats)]; break;
    case 5: child->name = choice & 64 ? NULL : "\xc3"; break;
    case 6: child->release = NULL; break;
    case 7: schema->format = choice & 64 ? "l" : NULL; break;
    case 8:  // cycles
      child->format = "+s";
      child->n_children = 1;
      child->children = schema->children;
      child->dictionary = child;
      break;
  }
}

static void spoil_array(struct ArrowArray* array, uint64_t choice) {
  struct ArrowArray* child = array->children[0];
  // What makes a buffer seem longer than it is cannot be seen: numbers only shrink or leave all bounds.
  int64_t wrong = choice & 64 ? -1 - (int64_t)(choice >> 40) : INT64_MAX - (int64_t)(choice >> 40);
  switch (choice % 14) {
    case 0: array->length = wrong; break;
    case 1: child->length = wrong; break;
    case 2: child->length = child->length / 2; break;
    case 3: array->offset = wrong; break;
    case 4: child->offset = wrong; break;
    case 5: child->null_count = choice & 64 ? wrong : 1; break;
    case 6: child->n_buffers = choice & 64 ? wrong : (int64_t)(choice / 128 % 2); break;
    case 7: array->n_children = choice & 64 ? wrong : 0; break;
    case 8: array->children = NULL; break;
    case 9: array->children[0] = NULL; break;
    case 10: child->buffers = NULL; break;
    case 11: child->buffers[1] = NULL; break;
    case 12: child->release = NULL; break;
    case 13: array->null_count = child->length ? 1 : 0; break;
  }
}

// A stream of the host's that lives until the end of the run.
typedef struct owned_stream {
  host_stream host;
  struct owned_stream* next;
} owned_stream;
static owned_stream* streams;

static struct ArrowArrayStream some_stream(void) {
  owned_stream* owned = (owned_stream*)calloc(1, sizeof *owned);
  struct ArrowArrayStream stream = host_open(&owned->host, (int64_t)below(4), (int64_t)below(200));
  owned->host.choice = next_random();
  if (one_in(4)) owned->host.spoil_schema = spoil_schema;
  if (one_in(2)) owned->host.spoil_array = spoil_array;
  if (one_in(6)) owned->host.fail_after = (int64_t)below(3);
  if (one_in(20)) stream.get_last_error = NULL;
  do {
    owned->next = __atomic_load_n(&streams, __ATOMIC_ACQUIRE);
  } while (!__atomic_compare_exchange_n(&streams, &owned->next, owned, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
  return stream;
}

static int32_t take_batch(void* context, struct ArrowArray* array) {
  (void)context;
  if (one_in(3)) {
    array->release(array);
    array->release = NULL;
  }
  return one_in(10);
}

static void read_stream(struct ArrowArrayStream* stream) {
  for (uint64_t reads = below(6); reads > 0; reads--) {
    struct ArrowArray batch;
    struct ArrowSchema schema;
    if (one_in(3) && stream->get_schema(stream, &schema) == 0) schema.release(&schema);
    if (stream->get_next(stream, &batch) != 0) {
      if (!stream->get_last_error(stream)) abort();
    } else if (batch.release) {
      batch.release(&batch);
    }
  }
  stream->release(stream);
  if (stream->release) abort();
}

static void one_call(void) {
  plasmon_session session = {some_handle(0)};
  plasmon_statement statement = {some_handle(1)};
  plasmon_query query = {some_handle(2)};
  struct ArrowArrayStream stream;
  struct ArrowArray array;
  struct ArrowSchema schema;
  plasmon_progress progress;
  char* text = NULL;
  int32_t outcome, code;
  int null_out = one_in(20);
  switch (below(24)) {
    case 0:
      if (!one_in(4)) break;
      note(code = plasmon_session_open(null_out ? NULL : &session), "session_open");
      if (code == 0) keep(0, session.id);
      break;
    case 1: if (one_in(6)) CALL(plasmon_session_close(session)); break;
    case 2: CALL(plasmon_session_set(session, some_text(), some_text())); break;
    case 3: CALL(plasmon_session_register_path(session, some_text(), some_text())); break;
    case 4:
      stream = some_stream();
      CALL(plasmon_session_register_stream(session, some_text(), null_out ? NULL : &stream));
      if (null_out) stream.release(&stream);
      if (stream.release) abort();
      break;
    case 5: CALL(plasmon_session_deregister(session, some_text())); break;
    case 6:
    case 7:
      note(code = plasmon_statement_open(session, null_out ? NULL : &statement), "statement_open");
      if (code == 0) keep(1, statement.id);
      break;
    case 8: CALL(plasmon_statement_close(statement)); break;
    case 9:
    case 10: {
      const char* sql = some_text();
      CALL(plasmon_statement_set_sql(statement, sql, sql && one_in(5) ? (int64_t)below(strlen(sql) + 1) : -1));
      break;
    }
    case 11: CALL(plasmon_statement_set(statement, some_text(), some_text())); break;
    case 12: CALL(plasmon_statement_set_deadline(statement, one_in(10) ? UINT64_MAX : 1 + below(5))); break;
    case 13:
      stream = some_stream();
      CALL(plasmon_statement_bind_stream(statement, some_text(), null_out ? NULL : &stream));
      if (null_out) stream.release(&stream);
      if (stream.release) abort();
      break;
    case 14:
      stream = some_stream();
      if (stream.get_schema(&stream, &schema) != 0) abort();
      if (stream.get_next(&stream, &array) != 0) memset(&array, 0, sizeof array);
      stream.release(&stream);
      CALL(plasmon_statement_bind_parameters(statement, one_in(20) ? NULL : &schema, one_in(20) ? NULL : &array));
      if (schema.release) schema.release(&schema);
      if (array.release) array.release(&array);
      break;
    case 15:
      note(code = plasmon_statement_schema(statement, null_out ? NULL : &schema), "statement_schema");
      if (code == 0) schema.release(&schema);
      break;
    case 16:
      note(code = plasmon_statement_explain(statement, (int32_t)below(5) - 1, null_out ? NULL : &text), "statement_explain");
      if (code == 0) plasmon_text_free(text);
      break;
    case 17:
    case 18:
      // What runs without end is stopped by its deadline.
      plasmon_statement_set_deadline(statement, 1 + below(5));
      note(code = plasmon_statement_execute(statement, null_out ? NULL : &query), "statement_execute");
      if (code == 0) keep(2, query.id);
      break;
    case 19:
      note(code = plasmon_query_stream(query, null_out ? NULL : &stream), "query_stream");
      if (code == 0) read_stream(&stream);
      break;
    case 20: CALL(plasmon_query_push(query, one_in(10) ? NULL : take_batch, NULL)); break;
    case 21:
      note(code = plasmon_query_step(query, null_out ? NULL : &array, one_in(20) ? NULL : &outcome), "query_step");
      if (code == 0 && array.release) array.release(&array);
      break;
    case 22:
      switch (below(4)) {
        case 0: CALL(plasmon_query_cancel(query)); break;
        case 1: CALL(plasmon_query_progress(query, null_out ? NULL : &progress)); break;
        case 2:
          note(code = plasmon_query_metrics(query, null_out ? NULL : &text), "query_metrics");
          if (code == 0) plasmon_text_free(text);
          break;
        case 3:
          note(code = plasmon_query_schema(query, null_out ? NULL : &schema), "query_schema");
          if (code == 0) schema.release(&schema);
          break;
      }
      break;
    case 23: CALL(plasmon_query_close(query)); break;
  }
}

static uint64_t calls, seed;

static void* run(void* number) {
  state = seed * UINT64_C(0x9E3779B97F4A7C15) + (uint64_t)(intptr_t)number + 1;
  for (uint64_t call = 0; call < calls / THREADS; call++) one_call();
  return NULL;
}

int main(int count, char** arguments) {
  calls = count > 1 ? strtoull(arguments[1], NULL, 10) : 100000;
  seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
  alarm(3000);  // a hang ends the run
  plasmon_session first;
  note(plasmon_session_open(&first), "session_open");
  given[0][0] = first.id;
  pthread_t threads[THREADS];
  for (intptr_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, run, (void*)i);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  // What was overwritten in the table of handles is lost to this program; what is left is closed, and what it held must come back.
  for (int kind = 2; kind >= 0; kind--) {
    for (int slot = 0; slot < SLOTS; slot++) {
      uint64_t handle = given[kind][slot];
      if (kind == 2) plasmon_query_close((plasmon_query){handle});
      if (kind == 1) plasmon_statement_close((plasmon_statement){handle});
      if (kind == 0) plasmon_session_close((plasmon_session){handle});
    }
  }
  uint64_t made = 0, held = 0;
  for (owned_stream *owned = streams, *next; owned; owned = next) {
    next = owned->next;
    host_stream* host = &owned->host;
    if (host->stream_released > 1 || host->arrays_released > host->arrays_made || host->schemas_released != host->schemas_made) {
      fprintf(stderr, "released %d of 1 stream, %d of %d batches, %d of %d schemas\n", host->stream_released, host->arrays_released,
              host->arrays_made, host->schemas_released, host->schemas_made);
      return 1;
    }
    made += 1 + (uint64_t)host->arrays_made;
    held += (uint64_t)(1 - host->stream_released + host->arrays_made - host->arrays_released);
  }
  printf("%" PRIu64 " calls, seed %" PRIu64 ":", calls, seed);
  for (int code = 0; code < 32; code++) {
    if (counts[code]) printf(" %s %" PRIu64 ",", plasmon_code_name(code), counts[code]);
  }
  printf(" %" PRIu64 " structs handed over, %" PRIu64 " held by handles that were lost\n", made, held);
  return 0;
}
