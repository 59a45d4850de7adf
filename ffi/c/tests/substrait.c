// Substrait through the C ABI: a plan out of one session and into another, over bound streams and parameters, and what is refused and where.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "expect.h"
#include "plasmon.h"

static plasmon_session session;

static plasmon_statement open_statement(void) {
  plasmon_statement statement;
  OK(plasmon_statement_open(session, &statement));
  return statement;
}

// The one number that a statement gives.
static int64_t answer(plasmon_statement statement) {
  plasmon_query query;
  struct ArrowArrayStream stream;
  struct ArrowArray array = {0};
  OK(plasmon_statement_execute(statement, &query));
  OK(plasmon_query_stream(query, &stream));
  EXPECT(stream.get_next(&stream, &array) == 0 && array.release != NULL && array.length == 1);
  int64_t value = ((const int64_t*)array.children[0]->buffers[1])[array.children[0]->offset];
  array.release(&array);
  stream.release(&stream);
  OK(plasmon_query_close(query));
  return value;
}

static plasmon_bytes plan_of(const char* sql, int32_t format) {
  plasmon_statement statement = open_statement();
  plasmon_bytes plan;
  OK(plasmon_statement_set_sql(statement, sql, -1));
  OK(plasmon_statement_substrait(statement, format, &plan));
  OK(plasmon_statement_close(statement));
  return plan;
}

static void there_and_back(void) {
  for (int32_t format = PLASMON_SUBSTRAIT_FORMAT_BINARY; format <= PLASMON_SUBSTRAIT_FORMAT_JSON; format++) {
    plasmon_bytes plan = plan_of("SELECT sum(a) FROM t WHERE a > 3", format);
    EXPECT(plan.length > 20 && (format == PLASMON_SUBSTRAIT_FORMAT_JSON) == (plan.data[0] == '{'));
    plasmon_statement statement = open_statement();
    OK(plasmon_statement_set_substrait(statement, plan.data, plan.length));
    plasmon_bytes_free(&plan);
    EXPECT(answer(statement) == 4 + 5 + 6 + 7);
    // It plans, explains and has columns as a text has.
    struct ArrowSchema schema;
    OK(plasmon_statement_schema(statement, &schema));
    EXPECT(schema.n_children == 1);
    schema.release(&schema);
    char* shown;
    OK(plasmon_statement_explain(statement, PLASMON_EXPLAIN_FORMAT_TEXT, &shown));
    EXPECT(strstr(shown, "Aggregate") != NULL);
    plasmon_text_free(shown);
    // A text takes the plan's place, and the other way round.
    OK(plasmon_statement_set_sql(statement, "SELECT max(a) FROM t", -1));
    EXPECT(answer(statement) == 7);
    OK(plasmon_statement_close(statement));
  }
}

static void refusals(void) {
  plasmon_statement statement = open_statement();
  plasmon_bytes plan;
  EXPECT(plasmon_statement_set_substrait(statement, NULL, 5) == PLASMON_CODE_INVALID_ARGUMENT);
  EXPECT(plasmon_statement_set_substrait(statement, (const uint8_t*)"x", 0) == PLASMON_CODE_INVALID_ARGUMENT);
  EXPECT(plasmon_statement_substrait(statement, PLASMON_SUBSTRAIT_FORMAT_BINARY, &plan) == PLASMON_CODE_INVALID_STATE);
  OK(plasmon_statement_set_sql(statement, "SELECT unnest([1, 2])", -1));
  EXPECT(plasmon_statement_substrait(statement, PLASMON_SUBSTRAIT_FORMAT_BINARY, &plan) == PLASMON_CODE_UNSUPPORTED);
  EXPECT(strncmp(plasmon_last_error()->plan_path, "root.input", 10) == 0);
  EXPECT(plasmon_statement_substrait(statement, 7, &plan) == PLASMON_CODE_INVALID_ARGUMENT);
  EXPECT(plasmon_statement_substrait(statement, PLASMON_SUBSTRAIT_FORMAT_BINARY, NULL) == PLASMON_CODE_INVALID_ARGUMENT);
  const char* wrong = "{\"relations\": [{\"root\": {\"input\": {\"filter\": {\"input\": {\"read\": {\"baseSchema\": {}}}}}}}]}";
  OK(plasmon_statement_set_substrait(statement, (const uint8_t*)wrong, strlen(wrong)));
  struct ArrowSchema schema;
  EXPECT(plasmon_statement_schema(statement, &schema) == PLASMON_CODE_USER);
  EXPECT(strcmp(plasmon_last_error()->plan_path, "root.input.input") == 0);
  OK(plasmon_statement_close(statement));
}

int main(void) {
  OK(plasmon_session_open(&session));
  plasmon_statement statement = open_statement();
  plasmon_query query;
  OK(plasmon_statement_set_sql(statement, "CREATE TABLE t AS SELECT value AS a FROM generate_series(1, 7)", -1));
  OK(plasmon_statement_execute(statement, &query));
  OK(plasmon_query_close(query));
  OK(plasmon_statement_close(statement));
  there_and_back();
  refusals();
  OK(plasmon_session_close(session));
  puts("plans go out and come back");
  return 0;
}
