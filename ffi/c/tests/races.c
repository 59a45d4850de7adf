// Queries that are stopped at every moment: one thread reads by steps, by push or by a stream, another cancels or closes at a random time, a third looks
// on. Whoever comes first, the reader gets batches and then an end or a failure that fits, and when all are done everything is released: exactly, at once.
//
//   races ROUNDS [SEED]
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "host_stream.h"
#include "plasmon.h"

static uint64_t chance = 1;
static uint64_t below(uint64_t bound) {
  chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
  return (chance >> 11) % bound;
}

#define EXPECT(condition)                                                                                                     \
  do {                                                                                                                        \
    if (!(condition)) {                                                                                                       \
      fprintf(stderr, "%s:%d: %s; last error: %s\n", __FILE__, __LINE__, #condition, plasmon_last_error() ? plasmon_last_error()->message : "none"); \
      abort();                                                                                                                \
    }                                                                                                                         \
  } while (0)

typedef struct round {
  plasmon_query query;
  int way;             // of reading
  uint64_t delay;      // of the stop, in nanoseconds
  int closes;          // else it cancels
  int keeps;           // batches until the end of the round
  int64_t rows;        // that the reader saw
  int end;             // 0 = the end, else the code that ended it
  struct ArrowArray kept[4];
  int kept_count;
  int is_over;
} round_state;

static void take(round_state* state, struct ArrowArray* array) {
  state->rows += array->length;
  if (state->keeps && state->kept_count < 4) {
    state->kept[state->kept_count++] = *array;
    array->release = NULL;
  } else if (array->release) {
    array->release(array);
    array->release = NULL;
  }
}

static int32_t take_pushed(void* context, struct ArrowArray* array) {
  take((round_state*)context, array);
  return 0;
}

static int read_steps(round_state* state) {
  for (;;) {
    struct ArrowArray array;
    int32_t outcome, code = plasmon_query_step(state->query, &array, &outcome);
    if (code != PLASMON_CODE_OK) return code;
    if (outcome == PLASMON_STEP_BATCH) take(state, &array);
    if (outcome == PLASMON_STEP_DONE) return 0;
  }
}

static int read_stream(round_state* state) {
  struct ArrowArrayStream stream;
  int32_t code = plasmon_query_stream(state->query, &stream);
  if (code != PLASMON_CODE_OK) return code;
  for (;;) {
    struct ArrowArray array;
    code = stream.get_next(&stream, &array);
    if (code != 0 || !array.release) break;
    take(state, &array);
  }
  EXPECT(code == 0 || code == ECANCELED);
  stream.release(&stream);
  return code == 0 ? 0 : PLASMON_CODE_CANCELLED;
}

static void* reader(void* argument) {
  round_state* state = (round_state*)argument;
  state->end = state->way == 0 ? read_steps(state) : state->way == 1 ? read_stream(state) : plasmon_query_push(state->query, take_pushed, state);
  __atomic_store_n(&state->is_over, 1, __ATOMIC_RELEASE);
  return NULL;
}

static void* stopper(void* argument) {
  round_state* state = (round_state*)argument;
  struct timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  do {
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((uint64_t)(now.tv_sec - begin.tv_sec) * UINT64_C(1000000000) + (uint64_t)now.tv_nsec - (uint64_t)begin.tv_nsec < state->delay);
  EXPECT((state->closes ? plasmon_query_close(state->query) : plasmon_query_cancel(state->query)) == PLASMON_CODE_OK);
  return NULL;
}

static void* onlooker(void* argument) {
  round_state* state = (round_state*)argument;
  while (!__atomic_load_n(&state->is_over, __ATOMIC_ACQUIRE)) {
    plasmon_progress progress;
    char* metrics;
    int32_t code = plasmon_query_progress(state->query, &progress);
    EXPECT(code == PLASMON_CODE_OK || code == PLASMON_CODE_INVALID_HANDLE);
    if (plasmon_query_metrics(state->query, &metrics) == PLASMON_CODE_OK) plasmon_text_free(metrics);
  }
  return NULL;
}

int main(int count, char** arguments) {
  uint64_t rounds = count > 1 ? strtoull(arguments[1], NULL, 10) : 1000, ends[32] = {0};
  chance = (count > 2 ? strtoull(arguments[2], NULL, 10) : 1) * UINT64_C(0x9E3779B97F4A7C15) | 1;
  alarm(3000);  // a hang ends the run
  static const char* const statements[] = {"SELECT n FROM input", "SELECT n, count(*) FROM input GROUP BY n", "SELECT n FROM input ORDER BY n DESC",
                                           "SELECT a.value FROM generate_series(0, 4000) a JOIN input ON a.value = n"};
  plasmon_session session;
  EXPECT(plasmon_session_open(&session) == PLASMON_CODE_OK);
  for (uint64_t round = 0; round < rounds; round++) {
    host_stream host;
    int64_t batches = 1 + (int64_t)below(400), rows = 1 + (int64_t)below(8);
    struct ArrowArrayStream in = host_open(&host, batches, rows);
    plasmon_statement statement;
    round_state state = {.way = (int)below(3), .delay = below(below(2) ? 30000 : 1500000), .closes = (int)below(2), .keeps = (int)below(2)};
    EXPECT(plasmon_statement_open(session, &statement) == PLASMON_CODE_OK);
    EXPECT(plasmon_statement_set_sql(statement, statements[below(4)], -1) == PLASMON_CODE_OK);
    EXPECT(plasmon_statement_set(statement, "driver", below(2) ? "inline" : "pool") == PLASMON_CODE_OK);
    EXPECT(plasmon_statement_bind_stream(statement, "input", &in) == PLASMON_CODE_OK);
    EXPECT(plasmon_statement_execute(statement, &state.query) == PLASMON_CODE_OK);
    EXPECT(plasmon_statement_close(statement) == PLASMON_CODE_OK);
    pthread_t threads[3];
    pthread_create(&threads[0], NULL, reader, &state);
    pthread_create(&threads[1], NULL, stopper, &state);
    pthread_create(&threads[2], NULL, onlooker, &state);
    for (int thread = 0; thread < 3; thread++) pthread_join(threads[thread], NULL);
    // Closed before the reader began, or cancelled, or not in time.
    EXPECT(state.end == 0 || state.end == PLASMON_CODE_CANCELLED || (state.closes && state.end == PLASMON_CODE_INVALID_HANDLE));
    EXPECT(state.end != 0 || state.rows == batches * rows);
    ends[state.end]++;
    if (!state.closes) EXPECT(plasmon_query_close(state.query) == PLASMON_CODE_OK);
    for (int kept = 0; kept < state.kept_count; kept++) state.kept[kept].release(&state.kept[kept]);
    EXPECT(host.stream_released == 1);
    EXPECT(host.arrays_released == host.arrays_made);
  }
  EXPECT(plasmon_session_close(session) == PLASMON_CODE_OK);
  printf("%" PRIu64 " rounds: %" PRIu64 " ended, %" PRIu64 " were cancelled, %" PRIu64 " were closed before they were read\n", rounds, ends[0],
         ends[PLASMON_CODE_CANCELLED], ends[PLASMON_CODE_INVALID_HANDLE]);
  return 0;
}
