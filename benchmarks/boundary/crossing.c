// What a batch costs on its way into the library and out again, from C: a host's stream is read by `SELECT n FROM input` on the caller's thread and comes
// back as a stream. The host's own cost of making and reading its batches is measured alone and taken off.
//
// Prints one JSON line a shape: batches, rows of each, nanoseconds a batch (median of the rounds), and whether every buffer kept its address.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../ffi/c/tests/host_stream.h"

enum { ROUNDS = 5 };

static void check(int32_t code) {
  if (code == PLASMON_CODE_OK) return;
  fprintf(stderr, "%s: %s\n", plasmon_code_name(code), plasmon_last_error()->message);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

// Reads a stream to its end; how many batches came at the address at which the host last made one.
static int64_t drain(struct ArrowArrayStream* stream, host_stream* host, int64_t batches, int64_t rows) {
  int64_t kept = 0, seen = 0, total = 0;
  for (;; seen++) {
    struct ArrowArray batch;
    if (stream->get_next(stream, &batch) != 0) {
      fprintf(stderr, "%s\n", stream->get_last_error(stream));
      exit(1);
    }
    if (!batch.release) break;
    kept += batch.children[0]->buffers[1] == host->last_values;
    total += batch.length;
    batch.release(&batch);
  }
  stream->release(stream);
  if (seen != batches || total != batches * rows) {
    fprintf(stderr, "%" PRId64 " batches of %" PRId64 " rows in all came back\n", seen, total);
    exit(1);
  }
  return kept;
}

static int compare(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

static void measure(plasmon_session session, int64_t batches, int64_t rows) {
  // Batches of many rows show the same values, so that filling them does not drown what is measured.
  static int64_t values[8192];
  int64_t* shared = rows > 1 ? values : NULL;
  double times[ROUNDS];
  int64_t kept = 0;
  for (int round = 0; round < ROUNDS; round++) {
    host_stream host;
    struct ArrowArrayStream in = host_open(&host, batches, rows), out;
    host.shared = shared;
    double start = now();
    drain(&in, &host, batches, rows);
    double alone = now() - start;

    in = host_open(&host, batches, rows);
    host.shared = shared;
    plasmon_statement statement;
    plasmon_query query;
    check(plasmon_statement_open(session, &statement));
    check(plasmon_statement_set_sql(statement, "SELECT n FROM input", -1));
    check(plasmon_statement_set(statement, "driver", "inline"));
    check(plasmon_statement_set(statement, "batch_rows", "8192"));
    check(plasmon_statement_bind_stream(statement, "input", &in));
    check(plasmon_statement_execute(statement, &query));
    check(plasmon_query_stream(query, &out));
    start = now();
    kept = drain(&out, &host, batches, rows);
    times[round] = (now() - start - alone) / (double)batches;
    check(plasmon_query_close(query));
    check(plasmon_statement_close(statement));
  }
  qsort(times, ROUNDS, sizeof *times, compare);
  printf("{\"host\": \"C\", \"batches\": %" PRId64 ", \"rows\": %" PRId64 ", \"nanoseconds\": %.0f, \"least\": %.0f, \"most\": %.0f, \"zero_copy\": %s}\n",
         batches, rows, times[ROUNDS / 2], times[0], times[ROUNDS - 1], kept == batches ? "true" : "false");
}

int main(void) {
  plasmon_session session;
  check(plasmon_session_open(&session));
  measure(session, 1000000, 1);
  measure(session, 10000, 8192);
  check(plasmon_session_close(session));
  return 0;
}
