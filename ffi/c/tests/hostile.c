// A caller that does everything wrong: random calls with valid, closed, foreign and invented handles, null and garbage arguments, out of order, from
// several threads and from inside of callbacks, with structs that are malformed in every way that can be seen (hostile_arrow.h). Whatever it does, the
// answer is a code of the table, a call that fails has written nothing, and everything that was handed over is released once.
//
//   hostile CALLS [SEED]
//
// A new function of the library is a line in "the calls" below; a test compares them with the header.
#define _GNU_SOURCE  // usleep
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostile_arrow.h"
#include "plasmon.h"

// ---- handles: each kind has some slots, which all threads share, so that calls race on them

enum { SESSION, STATEMENT, QUERY, EXPRESSION, FUNCTION, KINDS };
enum { SLOTS = 8, THREADS = 4, BATCHES_KEPT = 16 };

static uint64_t given[KINDS][SLOTS];

static uint64_t some_handle(int kind) {
  switch (below(16)) {
    case 0: return one_in(2) ? 0 : next_random();
    case 1: return __atomic_load_n(&given[below(KINDS)][below(SLOTS)], __ATOMIC_RELAXED);
    case 2: return __atomic_load_n(&given[kind][below(SLOTS)], __ATOMIC_RELAXED) + 1;
    default: return __atomic_load_n(&given[kind][below(SLOTS)], __ATOMIC_RELAXED);
  }
}

static int32_t close_handle(int kind, uint64_t handle) {
  switch (kind) {
    case SESSION: return plasmon_session_close((plasmon_session){handle});
    case STATEMENT: return plasmon_statement_close((plasmon_statement){handle});
    case QUERY: return plasmon_query_close((plasmon_query){handle});
    case EXPRESSION: return plasmon_expression_close((plasmon_expression){handle});
    default: return plasmon_function_stop((plasmon_function){handle});
  }
}

// What stood there before is closed, unless somebody did: no handle is lost.
static void keep(int kind, uint64_t handle) {
  uint64_t before = __atomic_exchange_n(&given[kind][below(SLOTS)], handle, __ATOMIC_RELAXED);
  if (before) close_handle(kind, before);
}

static plasmon_session some_session(void) { return (plasmon_session){some_handle(SESSION)}; }
static plasmon_statement some_statement(void) { return (plasmon_statement){some_handle(STATEMENT)}; }
static plasmon_query some_query(void) { return (plasmon_query){some_handle(QUERY)}; }

// ---- answers

static uint64_t counts[32];
static _Thread_local const char* sql_tried;  // last, for messages

static int32_t note(int32_t code, const char* call) {
  const plasmon_error* error = code == PLASMON_CODE_OK ? NULL : plasmon_last_error();
  int is_known = code >= 0 && code < 32 && strcmp(plasmon_code_name(code), "unknown") != 0;
  if (!is_known || code == PLASMON_CODE_INTERNAL || (code != PLASMON_CODE_OK && (!error || error->code != code))) {
    fprintf(stderr, "%s gave %d; last error: %d %s; last SQL: %s\n", call, code, error ? error->code : 0, error ? error->message : "none", sql_tried ? sql_tried : "none");
    abort();
  }
  __atomic_fetch_add(&counts[code], 1, __ATOMIC_RELAXED);
  return code;
}

// ---- arguments

static const char* some_text(void) {
  static const char* const texts[] = {
      "", "t", "u", "input", "threads", "driver", "memory_bytes", "inline", "pool", "1", "2", "0", "-1", "none", "100000", "\xff\xfe", "a\"b;'", "batch_rows", "7",
      "SELECT 1", "SELECT", "SELECT $1 + 1", "SELECT $1, $2", "CREATE OR REPLACE TABLE t AS SELECT 1 AS c0", "DROP TABLE t", "SELECT 1/0", "SHOW ALL",
      "SELECT value, count(*) FROM generate_series(1, 5000) GROUP BY 1", "SELECT * FROM generate_series(1, 2000) a, generate_series(1, 2000) b",
      "EXPLAIN SELECT c0 FROM t", "SELECT abs(c0) FROM t", "SELECT * FROM u(3)", "/nowhere/at/all.parquet",
      "WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM r WHERE x < 100) SELECT * FROM r"};
  return one_in(12) ? NULL : ONE_OF(texts);
}

// Over columns c0, c1 … of any type.
static const char* some_sql(void) {
  static const char* const statements[] = {
      "SELECT * FROM input", "SELECT c0 FROM input", "SELECT count(*) FROM input", "SELECT min(c0), max(c0), count(c0) FROM input",
      "SELECT c0, count(*) FROM input GROUP BY c0", "SELECT DISTINCT c0 FROM input", "SELECT sum(c0) FROM input", "SELECT avg(c0) FROM input",
      "SELECT * FROM input ORDER BY c0 DESC NULLS LAST", "SELECT c0 FROM input ORDER BY c0 LIMIT 3", "SELECT c0 + c0 FROM input", "SELECT -c0 FROM input",
      "SELECT c0 FROM input WHERE c0 = c0", "SELECT c0 FROM input WHERE c0 < c0 OR c0 IS NULL", "SELECT CAST(c0 AS VARCHAR) FROM input",
      "SELECT CAST(c0 AS BIGINT) FROM input", "SELECT c0, row_number() OVER (PARTITION BY c0 ORDER BY c0) FROM input", "SELECT c1, c0 FROM input",
      "SELECT upper(c0), length(c0) FROM input", "SELECT a.c0 FROM input a JOIN input b ON a.c0 = b.c0", "SELECT c0[1] FROM input", "SELECT unnest(c0) FROM input",
      "SELECT date_trunc('month', c0) FROM input", "SELECT c0 FROM input JOIN generate_series(1, 100) ON c0 = value", "SELECT c0 FROM t", "SELECT * FROM t, input",
      "SELECT c0 FROM input UNION SELECT c0 FROM t", "SELECT coalesce(c0, c1) FROM input", "SELECT extract(year FROM c0) FROM input", "SELECT c0 IN (1, 2) FROM input"};
  return sql_tried = one_in(4) ? some_text() : ONE_OF(statements);
}

// Batches that the library gave, released by whichever thread comes by, perhaps long after their query.
static struct ArrowArray* kept[BATCHES_KEPT];

static void keep_batch(struct ArrowArray* array) {
  struct ArrowArray* moved = NULL;
  if (array && array->release) {
    moved = (struct ArrowArray*)malloc(sizeof *moved);
    *moved = *array;
    array->release = NULL;
  }
  moved = __atomic_exchange_n(&kept[below(BATCHES_KEPT)], moved, __ATOMIC_ACQ_REL);
  if (!moved) return;
  moved->release(moved);
  free(moved);
}

static void read_stream(struct ArrowArrayStream* stream) {
  for (uint64_t reads = below(8); reads > 0; reads--) {
    struct ArrowArray batch;
    struct ArrowSchema schema;
    if (one_in(3) && stream->get_schema(stream, &schema) == 0) schema.release(&schema);
    if (stream->get_next(stream, &batch) != 0) {
      const char* told = stream->get_last_error(stream);
      if (!told || strstr(told, "internal error") || strstr(told, "panicked")) {
        fprintf(stderr, "a stream failed: %s; last SQL: %s\n", told ? told : "no message", sql_tried ? sql_tried : "none");
        abort();
      }
    } else {
      keep_batch(&batch);
      if (batch.release) batch.release(&batch);
    }
  }
  stream->release(stream);
  if (stream->release) abort();
}

static int32_t take_batch(void* context, struct ArrowArray* array) {
  (void)context;
  inside_of_callback();
  if (one_in(3)) keep_batch(array);
  return one_in(10);
}

// ---- the calls

static struct { const char* name; void (*run)(void); uint64_t weight; } calls_known[96];
static int calls_count;
static uint64_t weights;

static void know(const char* name, uint64_t weight, void (*run)(void)) {
  calls_known[calls_count].name = name, calls_known[calls_count].weight = weight, calls_known[calls_count].run = run;
  calls_count++;
  weights += weight;
}

// Something to do, chosen as often as its weight says.
#define CASE(weight, name, ...)                                                                        \
  static void hostile_##name(void) { __VA_ARGS__ }                                                     \
  __attribute__((constructor)) static void know_##name(void) { know(#name, weight, hostile_##name); }

// A call with arguments alone.
#define CALL(weight, name, ...) CASE(weight, name, note(plasmon_##name(__VA_ARGS__), #name);)

// A call that fills `out`, of type `kind`, or fails and leaves it alone; what it gave is for `use`.
#define GIVES(weight, name, kind, use, ...)                          \
  CASE(weight, name, kind room; kind *out = MAYBE(&room);            \
       memset(&room, 0xA5, sizeof room);                             \
       if (note(plasmon_##name(__VA_ARGS__), #name) == 0) { use; } else untouched(&room, sizeof room, #name);)

// A call that takes the stream `in` over, whatever it answers.
#define TAKES_STREAM(weight, name, ...)                              \
  CASE(weight, name, struct ArrowArrayStream room = some_stream(), *in = MAYBE(&room); \
       note(plasmon_##name(__VA_ARGS__), #name);                     \
       if (in && room.release) abort();                              \
       if (room.release) room.release(&room);)

#define MAYBE(pointer) (one_in(20) ? NULL : (pointer))

static void untouched(const void* room, size_t bytes, const char* call) {
  for (size_t at = 0; at < bytes; at++) {
    if (((const unsigned char*)room)[at] != 0xA5) {
      fprintf(stderr, "%s failed and wrote to its out argument\n", call);
      abort();
    }
  }
}

// A plan as it is, cut, or with a few bits turned.
static void set_spoilt_plan(plasmon_statement statement, plasmon_bytes* plan, int32_t (*set)(plasmon_statement, const uint8_t*, uint64_t), const char* call) {
  uint64_t length = one_in(4) ? below(plan->length + 1) : plan->length;
  for (uint64_t turned = below(4); plan->length && turned > 0; turned--) plan->data[below(plan->length)] ^= (uint8_t)(1 << below(8));
  note(set(statement, MAYBE(plan->data), length), call);
}

CALL(1, check_abi, one_in(2) ? PLASMON_ABI_VERSION : (uint32_t)next_random())
CASE(1, texts, if (!plasmon_version()[0] || !plasmon_features()[0] || !plasmon_abi_version() || !plasmon_code_name((int32_t)next_random())) abort();
     plasmon_text_free(NULL);)

GIVES(1, session_open, plasmon_session, keep(SESSION, room.id), out)
CASE(1, session_close, if (one_in(4)) note(plasmon_session_close(some_session()), "session_close");)
CALL(4, session_set, some_session(), some_text(), some_text())
CALL(2, session_register_path, some_session(), some_text(), some_text())
TAKES_STREAM(8, session_register_stream, some_session(), one_in(2) ? "t" : some_text(), in)
CALL(2, session_deregister, some_session(), some_text())

GIVES(8, statement_open, plasmon_statement, keep(STATEMENT, room.id), some_session(), out)
CALL(2, statement_close, some_statement())
CASE(12, statement_set_sql, const char* sql = some_sql();
     note(plasmon_statement_set_sql(some_statement(), sql, sql && one_in(5) ? (int64_t)below(strlen(sql) + 1) : -1), "statement_set_sql");)
CALL(4, statement_set, some_statement(), some_text(), some_text())
CALL(4, statement_set_deadline, some_statement(), one_in(10) ? UINT64_MAX : 1 + below(5))
TAKES_STREAM(16, statement_bind_stream, some_statement(), one_in(2) ? "input" : some_text(), in)
CASE(16, statement_bind_parameters, arena* types = (arena*)calloc(1, sizeof *types); type* columns = some_columns(types); int is_spoilt = one_in(2);
     struct ArrowSchema schema; struct ArrowArray array; make_schema(columns, is_spoilt && one_in(2), &schema);
     make_array(columns, one_in(8) ? (int64_t)below(5) : 1, is_spoilt && one_in(2), 0, &array);
     struct ArrowSchema* schema_in = MAYBE(&schema); struct ArrowArray* array_in = MAYBE(&array);
     note(plasmon_statement_bind_parameters(some_statement(), schema_in, array_in), "statement_bind_parameters");
     if ((schema_in && schema.release) || (array_in && array.release)) abort();
     if (schema.release) schema.release(&schema);
     if (array.release) array.release(&array);
     arena_free(types);)
GIVES(6, statement_schema, struct ArrowSchema, room.release(&room), some_statement(), out)
GIVES(6, statement_explain, char*, plasmon_text_free(room), some_statement(), (int32_t)below(5) - 1, out)
CASE(4, statement_plan, plasmon_statement statement = some_statement(); plasmon_bytes plan = {0, 0};
     if (note(plasmon_statement_plan(statement, MAYBE(&plan)), "statement_plan") == 0) set_spoilt_plan(statement, &plan, plasmon_statement_set_plan, "statement_set_plan");
     plasmon_bytes_free(MAYBE(&plan));
     plasmon_bytes_free(&plan);)
CASE(2, statement_set_plan, uint8_t noise[24]; for (size_t i = 0; i < sizeof noise; i++) noise[i] = (uint8_t)next_random();
     noise[0] = 0x08, noise[1] = 0x01;
     note(plasmon_statement_set_plan(some_statement(), MAYBE(noise), below(sizeof noise + 1)), "statement_set_plan");)
CASE(4, statement_substrait, plasmon_statement statement = some_statement(); plasmon_bytes plan = {0, 0};
     if (note(plasmon_statement_substrait(statement, (int32_t)below(4) - 1, MAYBE(&plan)), "statement_substrait") == 0)
       set_spoilt_plan(statement, &plan, plasmon_statement_set_substrait, "statement_set_substrait");
     plasmon_bytes_free(&plan);)
CASE(2, statement_set_substrait, static const char* const plans[] = {"{}", "{\"relations\": []}", "{\"relations\": [{\"root\": {}}]}", "{\"a\": ", "\x12\x00", "\xff"};
     const char* plan = ONE_OF(plans);
     note(plasmon_statement_set_substrait(some_statement(), MAYBE((const uint8_t*)plan), below(strlen(plan) + 1)), "statement_set_substrait");)
GIVES(6, statement_execute, plasmon_query, keep(QUERY, room.id), some_statement(), out)

GIVES(4, query_schema, struct ArrowSchema, room.release(&room), some_query(), out)
GIVES(6, query_stream, struct ArrowArrayStream, read_stream(&room), some_query(), out)
CALL(6, query_push, some_query(), one_in(10) ? NULL : take_batch, NULL)
CASE(12, query_step, struct ArrowArray room; int32_t outcome = 0;
     if (note(plasmon_query_step(some_query(), MAYBE(&room), MAYBE(&outcome)), "query_step") == 0) {
       if ((outcome == PLASMON_STEP_BATCH) != (room.release != NULL)) abort();
       keep_batch(&room);
       if (room.release) room.release(&room);
     })
CASE(6, query_next, struct ArrowArray room; memset(&room, 0, sizeof room);
     if (note(plasmon_query_next(some_query(), MAYBE(&room)), "query_next") == 0) { keep_batch(&room); if (room.release) room.release(&room); }
     else if (room.release) abort();)
CALL(1, query_cancel, some_query())
GIVES(4, query_progress, plasmon_progress, (void)0, some_query(), out)
GIVES(2, query_metrics, char*, plasmon_text_free(room), some_query(), out)
CALL(2, query_close, some_query())

// A session that nobody closes before the end.
static plasmon_session steady;

#include "hostile_operators.h"

// From a stream in to a stream out, so that what is accepted is also read to the last value.
CASE(40, whole_query, struct ArrowArrayStream in = some_stream(), out; plasmon_statement statement; plasmon_query query;
     if (note(plasmon_statement_open(one_in(3) ? some_session() : steady, &statement), "statement_open") != 0) { if (in.release) in.release(&in); return; }
     note(plasmon_statement_set_deadline(statement, 100), "statement_set_deadline");
     note(plasmon_statement_set(statement, "driver", one_in(8) ? "pool" : "inline"), "statement_set");
     note(plasmon_statement_set_sql(statement, some_sql(), -1), "statement_set_sql");
     note(plasmon_statement_bind_stream(statement, "input", &in), "statement_bind_stream");
     if (note(plasmon_statement_execute(statement, &query), "statement_execute") == 0) {
       if (note(plasmon_query_stream(query, &out), "query_stream") == 0) read_stream(&out);
       note(plasmon_query_close(query), "query_close");
     }
     note(plasmon_statement_close(statement), "statement_close");)

static void one_call(void) {
  uint64_t at = below(weights);
  int call = 0;
  while (at >= calls_known[call].weight) at -= calls_known[call++].weight;
  calls_known[call].run();
}

static int is_closing;  // callbacks open nothing more

static void inside_of_callback(void) {
  static _Thread_local int depth;
  if (depth >= 2 || !one_in(20) || __atomic_load_n(&is_closing, __ATOMIC_ACQUIRE)) return;
  depth++;
  one_call();
  depth--;
}

// ---- the run

static uint64_t calls, seed;

static void* run(void* number) {
  chance_state = seed * UINT64_C(0x9E3779B97F4A7C15) + (uint64_t)(intptr_t)number + 1;
  for (uint64_t call = 0; call < calls / THREADS; call++) {
    // What runs without end is stopped by its deadline.
    if (one_in(4)) plasmon_statement_set_deadline(some_statement(), 1 + below(5));
    one_call();
  }
  return NULL;
}

static int is_balanced(void) {
  if (__atomic_load_n(&memory_given, __ATOMIC_ACQUIRE) != 0 || __atomic_load_n(&functions_given, __ATOMIC_ACQUIRE) != 0) return 0;
  for (int what = 0; what < STRUCTS; what++) {
    if (__atomic_load_n(&structs_made[what], __ATOMIC_ACQUIRE) != __atomic_load_n(&structs_released[what], __ATOMIC_ACQUIRE)) return 0;
  }
  return 1;
}

// Handles and batches that are kept.
static void close_all(void) {
  for (int kind = KINDS - 1; kind >= 0; kind--) {
    for (int slot = 0; slot < SLOTS; slot++) {
      uint64_t handle = __atomic_exchange_n(&given[kind][slot], 0, __ATOMIC_RELAXED);
      if (handle) close_handle(kind, handle);
    }
  }
  for (int slot = 0; slot < BATCHES_KEPT; slot++) {
    struct ArrowArray* batch = __atomic_exchange_n(&kept[slot], NULL, __ATOMIC_ACQ_REL);
    if (!batch) continue;
    batch->release(batch);
    free(batch);
  }
}

int main(int count, char** arguments) {
  calls = count > 1 ? strtoull(arguments[1], NULL, 10) : 100000;
  seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
  chance_seed = seed;
  alarm(3000);  // a hang ends the run
  if (note(plasmon_session_open(&steady), "session_open") != 0) return 1;
  pthread_t threads[THREADS];
  for (intptr_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, run, (void*)i);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  plasmon_set_log(NULL, NULL, PLASMON_LOG_LEVEL_OFF);
  // Everything that is left is closed, and what it held must come back. A query that was closed from inside of its own callbacks ends on its own threads.
  // What callbacks that were under way have opened meanwhile is closed the next time around.
  __atomic_store_n(&is_closing, 1, __ATOMIC_RELEASE);
  close_handle(SESSION, steady.id);
  for (int wait = 0; wait < 1000; wait++) {
    close_all();
    if (is_balanced()) break;
    usleep(10000);
  }
  printf("%" PRIu64 " calls, seed %" PRIu64 ":", calls, seed);
  for (int code = 0; code < 32; code++) {
    if (counts[code]) printf(" %s %" PRIu64 ",", plasmon_code_name(code), counts[code]);
  }
  for (int what = 0; what < STRUCTS; what++) {
    printf(" %" PRIu64 " of %" PRIu64 " %s released%s", structs_released[what], structs_made[what], struct_names[what], what + 1 < STRUCTS ? "," : "\n");
  }
  if (is_balanced()) return 0;
  printf("not balanced; %" PRId64 " bytes of the host's memory and %" PRId64 " functions are left\n", memory_given, functions_given);
  return 1;
}
