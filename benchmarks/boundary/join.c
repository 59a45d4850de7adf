// A hash join of 10 M rows with 1 M, alone, from C: what `benchmarks/src/bin/plasmon-join.rs` does in Rust, over the same rows, timed the same way.
//
// Prints one JSON line: seconds of each round, rows and a checksum of the output.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plasmon.h"

// As in plasmon-join.rs.
enum { PROBE_ROWS = 10000000, BUILD_ROWS = 1000000, BATCH_ROWS = 8192, ROUNDS = 5 };

static void check(int32_t code) {
  if (code == PLASMON_CODE_OK) return;
  fprintf(stderr, "%s: %s\n", plasmon_code_name(code), plasmon_last_error()->message);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// Two int64 columns, made once; streams show them a batch at a time.
typedef struct table {
  const char* names[2];
  int64_t* values[2];
  int64_t rows, next;
} table;

typedef struct shown {
  struct ArrowArray columns[2];
  struct ArrowArray* children[2];
  const void* buffers[2][2];
  const void* no_validity[1];
} shown;

static void release_part(struct ArrowArray* array) { array->release = NULL; }
static void release_batch(struct ArrowArray* array) {
  free(array->private_data);
  array->release = NULL;
}

static int get_next(struct ArrowArrayStream* stream, struct ArrowArray* out) {
  table* from = (table*)stream->private_data;
  memset(out, 0, sizeof *out);
  if (from->next == from->rows) return 0;
  shown* batch = (shown*)calloc(1, sizeof *batch);
  int64_t rows = from->rows - from->next < BATCH_ROWS ? from->rows - from->next : BATCH_ROWS;
  for (int column = 0; column < 2; column++) {
    batch->buffers[column][1] = from->values[column] + from->next;
    batch->columns[column] = (struct ArrowArray){.length = rows, .n_buffers = 2, .buffers = batch->buffers[column], .release = release_part};
    batch->children[column] = &batch->columns[column];
  }
  from->next += rows;
  *out = (struct ArrowArray){.length = rows, .n_buffers = 1, .buffers = batch->no_validity, .n_children = 2, .children = batch->children, .release = release_batch, .private_data = batch};
  return 0;
}

static struct ArrowSchema columns[2];
static struct ArrowSchema* children[2] = {&columns[0], &columns[1]};
static void release_schema(struct ArrowSchema* schema) { schema->release = NULL; }
static int get_schema(struct ArrowArrayStream* stream, struct ArrowSchema* out) {
  table* from = (table*)stream->private_data;
  for (int column = 0; column < 2; column++) columns[column] = (struct ArrowSchema){.format = "l", .name = from->names[column], .release = release_schema};
  *out = (struct ArrowSchema){.format = "+s", .name = "", .n_children = 2, .children = children, .release = release_schema};
  return 0;
}
static const char* get_last_error(struct ArrowArrayStream* stream) {
  (void)stream;
  return NULL;
}
static void release_stream(struct ArrowArrayStream* stream) { stream->release = NULL; }

// A number's hash: splitmix64.
static uint64_t mixed(int64_t row) {
  uint64_t x = (uint64_t)row + UINT64_C(0x9E3779B97F4A7C15);
  x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
  return x ^ x >> 31;
}

static table made(const char* key, const char* value, int64_t rows, int is_probe) {
  table whole = {{key, value}, {malloc((size_t)rows * 8), malloc((size_t)rows * 8)}, rows, 0};
  for (int64_t row = 0; row < rows; row++) {
    whole.values[0][row] = is_probe ? (int64_t)(mixed(row) % BUILD_ROWS) : row * 999983 % BUILD_ROWS;
    whole.values[1][row] = row;
  }
  return whole;
}

static struct ArrowArrayStream joined(plasmon_session session, plasmon_expression key, table* probe, table* build, plasmon_query* query) {
  probe->next = build->next = 0;
  struct ArrowArrayStream probe_rows = {get_schema, get_next, get_last_error, release_stream, probe}, build_rows = probe_rows, out;
  build_rows.private_data = build;
  plasmon_join join = {.size = sizeof join, .kind = PLASMON_JOIN_KIND_INNER, .probe_keys = &key, .build_keys = &key, .key_count = 1};
  check(plasmon_operator_join(session, (plasmon_input){.stream = &probe_rows}, (plasmon_input){.stream = &build_rows}, &join, NULL, query));
  check(plasmon_query_stream(*query, &out));
  return out;
}

static int next(struct ArrowArrayStream* rows, struct ArrowArray* batch) {
  if (rows->get_next(rows, batch) != 0) {
    fprintf(stderr, "%s\n", rows->get_last_error(rows));
    exit(1);
  }
  return batch->release != NULL;
}

int main(int count, char** arguments) {
  plasmon_session session;
  plasmon_expression key;
  plasmon_query query;
  struct ArrowArray batch;
  check(plasmon_session_open(&session));
  check(plasmon_session_set(session, "threads", count > 1 ? arguments[1] : "2"));
  check(plasmon_expression_column(0, &key));
  table probe = made("k", "p", PROBE_ROWS, 1), build = made("k", "b", BUILD_ROWS, 0);
  int64_t rows = 0;
  printf("{\"host\": \"C\", \"seconds\": [");
  for (int round = 0; round < ROUNDS; round++) {
    rows = 0;
    double start = now();
    struct ArrowArrayStream out = joined(session, key, &probe, &build, &query);
    while (next(&out, &batch)) {
      rows += batch.length;
      batch.release(&batch);
    }
    out.release(&out);
    check(plasmon_query_close(query));
    printf("%s%.6f", round ? ", " : "", now() - start);
  }
  int64_t sum = 0;
  struct ArrowArrayStream out = joined(session, key, &probe, &build, &query);
  while (next(&out, &batch)) {
    const int64_t* p = (const int64_t*)batch.children[1]->buffers[1] + batch.children[1]->offset;
    const int64_t* b = (const int64_t*)batch.children[3]->buffers[1] + batch.children[3]->offset;
    for (int64_t row = 0; row < batch.length; row++) sum = (int64_t)((uint64_t)sum + (uint64_t)p[row] * (uint64_t)(b[row] + 1));
    batch.release(&batch);
  }
  out.release(&out);
  check(plasmon_query_close(query));
  printf("], \"rows\": %" PRId64 ", \"checksum\": %" PRId64 "}\n", rows, sum);
  check(plasmon_expression_close(key));
  check(plasmon_session_close(session));
  return 0;
}
