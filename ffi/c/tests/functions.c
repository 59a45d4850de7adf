// Functions of a C host in SQL: what they get and give, how they fail, when their context is released; ends with 0 when all holds.
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "host_stream.h"
#include "plasmon.h"

static plasmon_session session;

// --- a schema of int64 columns, and arrays of them

typedef struct columns {
  struct ArrowSchema children[4];
  struct ArrowSchema* pointers[4];
} columns;

static int schemas_released;

static void release_child(struct ArrowSchema* schema) { schema->release = NULL; }

static void release_columns(struct ArrowSchema* schema) {
  schemas_released++;
  free(schema->private_data);
  schema->release = NULL;
}

static struct ArrowSchema integers(int count) {
  columns* held = (columns*)calloc(1, sizeof *held);
  for (int i = 0; i < count; i++) {
    held->children[i] = (struct ArrowSchema){.format = "l", .name = "x", .flags = ARROW_FLAG_NULLABLE, .release = release_child};
    held->pointers[i] = &held->children[i];
  }
  return (struct ArrowSchema){
      .format = "+s", .name = "", .n_children = count, .children = held->pointers, .release = release_columns, .private_data = held};
}

static atomic_int arrays_made, arrays_released;

static void release_values(struct ArrowArray* array) {
  arrays_released++;
  free((void*)array->buffers[1]);
  free((void*)array->buffers);
  array->release = NULL;
}

static int64_t* values_of(struct ArrowArray* out, int64_t rows) {
  arrays_made++;
  int64_t* values = (int64_t*)calloc((size_t)rows + 1, 8);
  const void** buffers = (const void**)calloc(2, sizeof(void*));
  buffers[1] = values;
  *out = (struct ArrowArray){.length = rows, .n_buffers = 2, .buffers = buffers, .release = release_values};
  return values;
}

static const int64_t* column(const struct ArrowArray* batch, int index) {
  const struct ArrowArray* child = batch->children[index];
  return (const int64_t*)child->buffers[1] + child->offset;
}

// --- functions

typedef struct context {
  atomic_int calls, rows, released;
} context;

// Gives back the very array that it got.
static int32_t identity_of(struct ArrowArray* arguments, struct ArrowArray* result) {
  *result = *arguments->children[0];
  arguments->children[0]->release = NULL;
  return 0;
}

static void released(void* given) { ((context*)given)->released++; }

static int32_t sum(void* given, struct ArrowArray* arguments, struct ArrowArray* result) {
  context* own = (context*)given;
  own->calls++;
  own->rows += (int)arguments->length;
  int64_t* values = values_of(result, arguments->length);
  for (int64_t row = 0; row < arguments->length; row++) values[row] = column(arguments, 0)[row] + column(arguments, 1)[row];
  return 0;
}

// Tries to stop itself.
static int32_t stops_itself(void* given, struct ArrowArray* arguments, struct ArrowArray* result) {
  EXPECT_CODE(PLASMON_CODE_BUSY, plasmon_function_stop(*(plasmon_function*)given));
  return identity_of(arguments, result);
}

// Counts from 1, a value for each row that is asked for.
static int32_t count_up(void* given, struct ArrowArray* arguments, struct ArrowArray* result) {
  context* own = (context*)given;
  EXPECT(arguments->n_children == 0);
  int64_t* values = values_of(result, arguments->length);
  for (int64_t row = 0; row < arguments->length; row++) values[row] = ++own->rows;
  return 0;
}

static int32_t identity(void* given, struct ArrowArray* arguments, struct ArrowArray* result) {
  (void)given;
  return identity_of(arguments, result);
}

static int32_t fails(void* given, struct ArrowArray* arguments, struct ArrowArray* result) {
  (void)given, (void)arguments;
  values_of(result, 1);
  OK(plasmon_callback_set_error("no luck today, and more", 13));
  return 7;
}

static int32_t says_nothing(void* given, struct ArrowArray* arguments, struct ArrowArray* result) {
  (void)given, (void)arguments, (void)result;
  return -1;
}

static int32_t too_short(void* given, struct ArrowArray* arguments, struct ArrowArray* result) {
  (void)given;
  values_of(result, arguments->length - 1);
  return 0;
}

static int32_t gives_nothing(void* given, struct ArrowArray* arguments, struct ArrowArray* result) {
  (void)given, (void)arguments, (void)result;
  return 0;
}

static int32_t malformed(void* given, struct ArrowArray* arguments, struct ArrowArray* result) {
  (void)given;
  values_of(result, arguments->length);
  result->n_buffers = 1;
  return 0;
}

static int table_calls;
static host_stream hosts[16];
static int64_t streams_fail_after = -1;

// `numbers(batches)`: batches of ten rows that count up from 0.
static int32_t numbers(void* given, struct ArrowSchema* schema, struct ArrowArray* arguments, struct ArrowArrayStream* result) {
  (void)given;
  EXPECT(table_calls < 16);
  host_stream* host = &hosts[table_calls++];
  EXPECT(schema->n_children == arguments->n_children && arguments->length == 1);
  if (schema->n_children != 1 || strcmp(schema->children[0]->format, "l") != 0) {
    plasmon_callback_set_error("numbers(batches): one whole number", -1);
    return 1;
  }
  *result = host_open(host, column(arguments, 0)[0], 10);
  host->fail_after = streams_fail_after;
  return 0;
}

static plasmon_function last_function;

static int32_t register_sum(const char* name, int volatility, plasmon_scalar_callback callback, int arguments, context* own) {
  struct ArrowSchema given = integers(arguments), result = integers(1);
  int32_t code = plasmon_session_register_function(session, name, &given, &result, volatility, callback, own, released, &last_function);
  EXPECT(given.release == NULL && result.release == NULL);
  return code;
}

// --- asking

static int32_t ask(const char* sql, int64_t* value) {
  plasmon_statement statement;
  plasmon_query query;
  struct ArrowArray batch = {0};
  OK(plasmon_statement_open(session, &statement));
  OK(plasmon_statement_set_sql(statement, sql, -1));
  int32_t code = plasmon_statement_execute(statement, &query);
  int runs = code == PLASMON_CODE_OK;
  while (code == PLASMON_CODE_OK) {
    int32_t outcome = 0;
    code = plasmon_query_step(query, &batch, &outcome);
    if (code != PLASMON_CODE_OK || outcome == PLASMON_STEP_DONE) break;
    if (outcome == PLASMON_STEP_BATCH) {
      if (batch.length > 0) *value = column(&batch, 0)[0];
      batch.release(&batch);
    }
  }
  if (runs) OK(plasmon_query_close(query));
  OK(plasmon_statement_close(statement));
  return code;
}

static int64_t answer(const char* sql) {
  int64_t value = -1;
  OK(ask(sql, &value));
  return value;
}

static void expect_failure(const char* sql, plasmon_code code, const char* part) {
  int64_t value;
  EXPECT_CODE((int32_t)code, ask(sql, &value));
  EXPECT(strstr(plasmon_last_error()->message, part) != NULL);
}

static void scalars(void) {
  static context own, volatile_own, other;
  OK(register_sum("add", PLASMON_VOLATILITY_IMMUTABLE, sum, 2, &own));
  EXPECT(answer("SELECT sum(add(value, 1)) FROM generate_series(1, 100000)") == 5000150000);
  EXPECT(own.rows == 100000 && own.calls >= 1);
  // Over constants: once, and not for each row.
  own.rows = 0;
  EXPECT(answer("SELECT sum(add(40, 2)) FROM generate_series(1, 1000)") == 42000);
  EXPECT(own.rows == 1);
  // Rows that a filter leaves out are not computed.
  own.rows = 0;
  EXPECT(answer("SELECT sum(add(value, 1)) FROM generate_series(1, 1000) WHERE value > 990") == 9965);
  EXPECT(own.rows == 10);
  // A narrower argument is cast to the type that was registered.
  EXPECT(answer("SELECT add(CAST(1 AS SMALLINT), CAST(2 AS INT))") == 3);

  OK(register_sum("next_number", PLASMON_VOLATILITY_VOLATILE, count_up, 0, &volatile_own));
  EXPECT(answer("SELECT sum(next_number()) FROM generate_series(1, 1000)") == 500500);

  OK(register_sum("same", PLASMON_VOLATILITY_STABLE, identity, 1, &other));
  EXPECT(answer("SELECT sum(same(value)) FROM generate_series(1, 1000)") == 500500);

  // Replaced: the old context is released, the new one is used.
  EXPECT(own.released == 0);
  OK(register_sum("ADD", PLASMON_VOLATILITY_IMMUTABLE, identity, 1, &other));
  EXPECT(own.released == 1);
  EXPECT(answer("SELECT add(value) FROM generate_series(7, 7)") == 7);
}

static void failures(void) {
  static context own;
  OK(register_sum("fails", 0, fails, 1, &own));
  expect_failure("SELECT sum(fails(value)) FROM generate_series(1, 10)", PLASMON_CODE_HOST, "function fails failed: no luck today");
  EXPECT(strstr(plasmon_last_error()->message, "and more") == NULL);
  OK(register_sum("says_nothing", 0, says_nothing, 1, &own));
  expect_failure("SELECT sum(says_nothing(value)) FROM generate_series(1, 10)", PLASMON_CODE_HOST, "it gave -1 and no message");
  OK(register_sum("too_short", 0, too_short, 1, &own));
  expect_failure("SELECT sum(too_short(value)) FROM generate_series(1, 10)", PLASMON_CODE_HOST, "gave 9 values for 10 rows");
  OK(register_sum("gives_nothing", 0, gives_nothing, 1, &own));
  expect_failure("SELECT sum(gives_nothing(value)) FROM generate_series(1, 10)", PLASMON_CODE_INVALID_ARROW, "the array is released");
  OK(register_sum("malformed", 0, malformed, 1, &own));
  expect_failure("SELECT sum(malformed(value)) FROM generate_series(1, 10)", PLASMON_CODE_INVALID_ARROW, "function malformed gave what is no Int64");
  expect_failure("SELECT fails(1, 2)", PLASMON_CODE_USER, "fails");
  // What is refused is released all the same.
  static context refused;
  schemas_released = 0;
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, register_sum(NULL, 0, sum, 2, &refused));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, register_sum("f", 3, sum, 2, &refused));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, register_sum("f", 0, NULL, 2, &refused));
  EXPECT(refused.released == 3 && schemas_released == 6);
  struct ArrowSchema given = integers(1), two = integers(2);
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_session_register_function(session, "f", &given, &two, 0, sum, &refused, released, NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARROW, plasmon_session_register_function(session, "f", &given, &two, 0, sum, &refused, released, NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_session_register_function(session, "f", NULL, NULL, 0, sum, &refused, NULL, NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE,
              plasmon_session_register_table_function((plasmon_session){0}, "f", numbers, &refused, released, NULL));
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_session_register_table_function(session, "f", NULL, &refused, released, NULL));
  EXPECT(refused.released == 7);
  EXPECT_CODE(PLASMON_CODE_INVALID_ARGUMENT, plasmon_callback_set_error(NULL, -1));
}

static void stopped(void) {
  static context own;
  OK(register_sum("stopped", 0, identity, 1, &own));
  plasmon_function function = last_function;
  EXPECT(answer("SELECT stopped(value) FROM generate_series(7, 7)") == 7);
  OK(plasmon_function_stop(function));
  EXPECT(own.released == 1);
  expect_failure("SELECT stopped(value) FROM generate_series(7, 7)", PLASMON_CODE_HOST, "was stopped by its host");
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_function_stop(function));
  EXPECT_CODE(PLASMON_CODE_INVALID_HANDLE, plasmon_function_stop((plasmon_function){0}));
  // Not from inside, where it would wait for itself.
  struct ArrowSchema given = integers(1), result = integers(1);
  static plasmon_function inside;
  OK(plasmon_session_register_function(session, "stops_itself", &given, &result, 0, stops_itself, &inside, NULL, &inside));
  EXPECT(answer("SELECT stops_itself(value) FROM generate_series(7, 7)") == 7);
  OK(plasmon_function_stop(inside));
  // One that was replaced has nothing left to stop.
  OK(register_sum("gone", 0, identity, 1, &own));
  function = last_function;
  OK(register_sum("gone", 0, identity, 1, &own));
  EXPECT(own.released == 2);
  OK(plasmon_function_stop(function));
  EXPECT(own.released == 2);
}

static void tables(void) {
  OK(plasmon_session_register_table_function(session, "numbers", numbers, NULL, NULL, NULL));
  EXPECT(answer("SELECT sum(n) FROM numbers(5)") == 1225);
  EXPECT(table_calls == 1);
  // Planned and read twice in one statement.
  EXPECT(answer("WITH t AS (SELECT * FROM numbers(3)) SELECT count(*) FROM t a JOIN t b ON a.n = b.n") == 30);
  expect_failure("SELECT * FROM numbers('a')", PLASMON_CODE_HOST, "one whole number");
  streams_fail_after = 1;
  expect_failure("SELECT sum(n) FROM numbers(3)", PLASMON_CODE_HOST, "get_next");
  for (int i = 0; i < table_calls; i++) {
    EXPECT(hosts[i].schemas_made == hosts[i].schemas_released && hosts[i].arrays_made == hosts[i].arrays_released);
  }
}

int main(void) {
  OK(plasmon_session_open(&session));
  scalars();
  failures();
  stopped();
  tables();
  OK(plasmon_session_close(session));
  EXPECT(arrays_made == arrays_released);
  puts("functions work");
  return 0;
}
