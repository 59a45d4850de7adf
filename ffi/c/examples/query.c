// SQL from C: a session, a statement with a parameter, its rows as an Arrow stream.
//
//   cc query.c -I ffi/c/include -L target/release -lplasmon -Wl,-rpath,$PWD/target/release -o query && ./query
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "plasmon.h"

static void check(int32_t code) {
  if (code == PLASMON_CODE_OK) return;
  const plasmon_error* error = plasmon_last_error();
  fprintf(stderr, "%s: %s\n", plasmon_code_name(code), error->message);
  if (*error->hint) fprintf(stderr, "hint: %s\n", error->hint);
  exit(1);
}

int main(void) {
  check(plasmon_check_abi(PLASMON_ABI_VERSION));
  plasmon_session session;
  plasmon_statement statement;
  plasmon_query query;
  check(plasmon_session_open(&session));
  check(plasmon_session_set(session, "threads", "2"));

  check(plasmon_statement_open(session, &statement));
  check(plasmon_statement_set_sql(
      statement, "SELECT value % 3 AS k, count(*) AS n FROM generate_series(1, 1000000) GROUP BY 1 ORDER BY 1", -1));
  check(plasmon_statement_execute(statement, &query));

  struct ArrowArrayStream rows;
  check(plasmon_query_stream(query, &rows));
  for (;;) {
    struct ArrowArray batch;
    if (rows.get_next(&rows, &batch) != 0) {
      fprintf(stderr, "%s\n", rows.get_last_error(&rows));
      return 1;
    }
    if (batch.release == NULL) break;
    const int64_t* k = (const int64_t*)batch.children[0]->buffers[1] + batch.children[0]->offset;
    const int64_t* n = (const int64_t*)batch.children[1]->buffers[1] + batch.children[1]->offset;
    for (int64_t row = 0; row < batch.length; row++) printf("%" PRId64 " %" PRId64 "\n", k[row], n[row]);
    batch.release(&batch);
  }
  rows.release(&rows);

  check(plasmon_query_close(query));
  check(plasmon_statement_close(statement));
  check(plasmon_session_close(session));
  return 0;
}
