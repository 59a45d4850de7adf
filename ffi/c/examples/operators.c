// Operators alone from C: a hash join and an aggregation over batches that this program makes, in one query, without a statement.
//
//   cc operators.c -I ffi/c/include -L target/release -lplasmon -Wl,-rpath,$PWD/target/release -o operators && ./operators
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plasmon.h"

static void check(int32_t code) {
  if (code == PLASMON_CODE_OK) return;
  const plasmon_error* error = plasmon_last_error();
  fprintf(stderr, "%s: %s\n", plasmon_code_name(code), error->message);
  if (*error->hint) fprintf(stderr, "hint: %s\n", error->hint);
  exit(1);
}

// A table of two int64 columns: row i has the values first(i) and second(i).
typedef struct table {
  const char* names[2];
  int64_t (*values[2])(int64_t row);
  int64_t rows, next;
} table;

enum { BATCH_ROWS = 4096 };

// What a batch consists of, in one piece of memory.
typedef struct batch {
  struct ArrowArray columns[2];
  struct ArrowArray* children[2];
  const void* buffers[2][2];
  const void* no_validity[1];
  int64_t values[2][BATCH_ROWS];
} batch;

static void release_part(struct ArrowArray* array) { array->release = NULL; }
static void release_batch(struct ArrowArray* array) {
  free(array->private_data);
  array->release = NULL;
}

static int get_next(struct ArrowArrayStream* stream, struct ArrowArray* out) {
  table* from = (table*)stream->private_data;
  memset(out, 0, sizeof *out);
  if (from->next == from->rows) return 0;  // the end: an array that is released
  batch* made = (batch*)calloc(1, sizeof *made);
  if (!made) return ENOMEM;
  int64_t rows = from->rows - from->next < BATCH_ROWS ? from->rows - from->next : BATCH_ROWS;
  for (int column = 0; column < 2; column++) {
    for (int64_t row = 0; row < rows; row++) made->values[column][row] = from->values[column](from->next + row);
    made->buffers[column][1] = made->values[column];
    made->columns[column] = (struct ArrowArray){.length = rows, .n_buffers = 2, .buffers = made->buffers[column], .release = release_part};
    made->children[column] = &made->columns[column];
  }
  from->next += rows;
  *out = (struct ArrowArray){.length = rows,
                             .n_buffers = 1,
                             .buffers = made->no_validity,
                             .n_children = 2,
                             .children = made->children,
                             .release = release_batch,
                             .private_data = made};
  return 0;
}

typedef struct schema {
  struct ArrowSchema columns[2];
  struct ArrowSchema* children[2];
} schema;

static void release_column(struct ArrowSchema* column) { column->release = NULL; }
static void release_schema(struct ArrowSchema* whole) {
  free(whole->private_data);
  whole->release = NULL;
}

static int get_schema(struct ArrowArrayStream* stream, struct ArrowSchema* out) {
  table* from = (table*)stream->private_data;
  schema* made = (schema*)calloc(1, sizeof *made);
  if (!made) return ENOMEM;
  for (int column = 0; column < 2; column++) {
    made->columns[column] = (struct ArrowSchema){.format = "l", .name = from->names[column], .release = release_column};
    made->children[column] = &made->columns[column];
  }
  *out = (struct ArrowSchema){.format = "+s", .name = "", .n_children = 2, .children = made->children, .release = release_schema, .private_data = made};
  return 0;
}

static const char* get_last_error(struct ArrowArrayStream* stream) {
  (void)stream;
  return NULL;
}
static void release_stream(struct ArrowArrayStream* stream) { stream->release = NULL; }

static struct ArrowArrayStream stream_of(table* from) {
  return (struct ArrowArrayStream){get_schema, get_next, get_last_error, release_stream, from};
}

// 1,000,000 orders of 1,000 customers in 5 countries.
static int64_t customer_of(int64_t order) { return order * 7919 % 1500; }
static int64_t cents_of(int64_t order) { return order % 500; }
static int64_t same(int64_t row) { return row; }
static int64_t country_of(int64_t customer) { return customer % 5; }

int main(void) {
  check(plasmon_check_abi(PLASMON_ABI_VERSION));
  plasmon_session session;
  check(plasmon_session_open(&session));
  check(plasmon_session_set(session, "threads", "2"));

  table orders = {{"buyer", "cents"}, {customer_of, cents_of}, 1000000, 0};
  table customers = {{"id", "country"}, {same, country_of}, 1000, 0};
  struct ArrowArrayStream order_rows = stream_of(&orders), customer_rows = stream_of(&customers);

  // Orders of at least 2.50 … SQL, where that is shorter.
  plasmon_expression dear, buyer, id, country, cents, calls[2];
  check(plasmon_expression_sql("cents >= 250", -1, &dear));
  plasmon_query dear_orders, joined, groups, sorted;
  check(plasmon_operator_filter(session, (plasmon_input){.stream = &order_rows}, dear, NULL, &dear_orders));

  // … joined with their buyers: the filter's rows are the probe side, nothing leaves the library in between.
  check(plasmon_expression_name("buyer", &buyer));
  check(plasmon_expression_name("id", &id));
  plasmon_join join = {.size = sizeof join, .kind = PLASMON_JOIN_KIND_INNER, .probe_keys = &buyer, .build_keys = &id, .key_count = 1};
  check(plasmon_operator_join(session, (plasmon_input){.query = dear_orders}, (plasmon_input){.stream = &customer_rows}, &join, NULL, &joined));

  // … counted and summed up by country, in the order of countries.
  check(plasmon_expression_name("country", &country));
  check(plasmon_expression_name("cents", &cents));
  check(plasmon_expression_aggregate("count", NULL, 0, NULL, &calls[0]));
  check(plasmon_expression_aggregate("sum", &cents, 1, NULL, &calls[1]));
  plasmon_aggregate aggregate = {.size = sizeof aggregate, .keys = &country, .key_count = 1, .calls = calls, .call_count = 2};
  check(plasmon_operator_aggregate(session, (plasmon_input){.query = joined}, &aggregate, NULL, &groups));
  plasmon_order by_country = {.expression = country};
  check(plasmon_operator_sort(session, (plasmon_input){.query = groups}, &by_country, 1, 0, -1, NULL, &sorted));

  struct ArrowArrayStream rows;
  check(plasmon_query_stream(sorted, &rows));
  for (;;) {
    struct ArrowArray batch;
    if (rows.get_next(&rows, &batch) != 0) {
      fprintf(stderr, "%s\n", rows.get_last_error(&rows));
      return 1;
    }
    if (batch.release == NULL) break;
    for (int64_t row = 0; row < batch.length; row++) {
      for (int column = 0; column < 3; column++) {
        const struct ArrowArray* values = batch.children[column];
        printf("%" PRId64 "%s", ((const int64_t*)values->buffers[1])[values->offset + row], column < 2 ? " " : "\n");
      }
    }
    batch.release(&batch);
  }
  rows.release(&rows);

  plasmon_expression expressions[] = {dear, buyer, id, country, cents, calls[0], calls[1]};
  for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++) check(plasmon_expression_close(expressions[i]));
  check(plasmon_query_close(sorted));
  check(plasmon_session_close(session));
  return 0;
}
