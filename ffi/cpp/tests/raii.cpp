// What plasmon.hpp promises: failures are exceptions, everything closes itself, batches move.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "../../c/tests/host_stream.h"
#include "plasmon.hpp"

#define EXPECT(condition)                                            \
  do {                                                               \
    if (!(condition)) {                                              \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                  \
    }                                                                \
  } while (0)

namespace {

template <typename Work>
plasmon::Error failure_of(Work work) {
  try {
    work();
  } catch (const plasmon::Error& error) {
    return error;
  }
  std::fprintf(stderr, "nothing was thrown\n");
  std::exit(1);
}

int64_t number(plasmon::Stream rows) {
  plasmon::Array batch = rows.next();
  EXPECT(batch && batch->length == 1);
  int64_t value = static_cast<const int64_t*>(batch->children[0]->buffers[1])[batch->children[0]->offset];
  EXPECT(!rows.next());
  return value;
}

void failures(plasmon::Session& session) {
  plasmon::Error error = failure_of([&] { session.query("SELECT 1 FROM nowhere"); });
  EXPECT(error.code() == PLASMON_CODE_USER && error.error_class() == PLASMON_CLASS_USER);
  EXPECT(std::string(error.what()).find("nowhere") != std::string::npos);
  EXPECT(failure_of([&] { session.set("threads", "0"); }).code() == PLASMON_CODE_USER);
  EXPECT(failure_of([&] { session.register_path("t", "/nowhere.parquet"); }).code() == PLASMON_CODE_IO);
  error = failure_of([&] { number(session.query("SELECT 1 / (value - 1) FROM generate_series(1, 1)").stream()); });
  EXPECT(std::string(error.what()).find("zero") != std::string::npos);
}

void streams(plasmon::Session& session) {
  host_stream host;
  ArrowArrayStream stream = host_open(&host, 10, 1000);
  session.register_stream("numbers", &stream);
  EXPECT(number(session.query("SELECT sum(n) FROM numbers").stream()) == 9999 * 5000);
  session.deregister("numbers");
  EXPECT(host.arrays_released == 10 && host.stream_released == 1);

  // A batch outlives everything that made it.
  plasmon::Array kept;
  {
    plasmon::Session other;
    stream = host_open(&host, 1, 4096);
    plasmon::Statement statement = other.statement("SELECT n FROM input");
    statement.set("driver", "inline").bind_stream("input", &stream);
    plasmon::Query query = statement.execute();
    plasmon::Step step{};
    while ((step = query.step()).outcome != PLASMON_STEP_DONE) {
      if (step.outcome == PLASMON_STEP_BATCH) kept = std::move(step.batch);
    }
    EXPECT(query.progress().rows_read == 4096 && query.metrics().find("\"rows\": 4096") != std::string::npos);
  }
  EXPECT(kept && kept->length == 4096 && kept->children[0]->buffers[1] == host.last_values && host.arrays_released == 0);
  kept = plasmon::Array();
  EXPECT(host.arrays_released == 1);
}

void pushes(plasmon::Session& session) {
  int64_t rows = 0;
  session.query("SELECT value FROM generate_series(1, 100000)").push([&](plasmon::Array batch) { rows += batch->length; });
  EXPECT(rows == 100000);
  try {
    session.query("SELECT 1").push([](plasmon::Array) { throw std::runtime_error("mine"); });
    EXPECT(false);
  } catch (const std::runtime_error& error) {
    EXPECT(std::string(error.what()) == "mine");
  }
}

void stops(plasmon::Session& session) {
  const char* endless = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
  plasmon::Query query = session.query(endless);
  std::thread other([&] { query.cancel(); });
  EXPECT(failure_of([&] { query.push([](plasmon::Array) {}); }).code() == PLASMON_CODE_CANCELLED);
  other.join();
  plasmon::Statement statement = session.statement(endless);
  statement.deadline(std::chrono::milliseconds(10));
  EXPECT(failure_of([&] { statement.execute().push([](plasmon::Array) {}); }).code() == PLASMON_CODE_DEADLINE);
  EXPECT(!statement.explain().empty());
  std::vector<uint8_t> plan = session.statement("SELECT value FROM generate_series(1, 7)").plan();
  int64_t rows = 0;
  session.statement("").plan(plan).execute().push([&](plasmon::Array batch) { rows += batch->length; });
  EXPECT(rows == 7);
  plan.resize(plan.size() / 2);
  EXPECT(failure_of([&] { session.statement("").plan(plan).execute(); }).code() == PLASMON_CODE_USER);
  EXPECT(std::string(statement.schema()->format) == "+s");
  // Left running: the destructor stops it.
  plasmon::Stream left = session.query(endless).stream();
}

void operators(plasmon::Session& session) {
  using plasmon::Expression;
  host_stream probe_host, build_host;
  ArrowArrayStream probe = host_open(&probe_host, 10, 1000), build = host_open(&build_host, 1, 500);
  plasmon::Join join;
  join.probe_keys = join.build_keys = {Expression::column(0)};
  join.columns = {1};
  plasmon::Aggregate sum;
  sum.calls = {Expression::aggregate("sum", {Expression::name("n")}).named("total")};
  plasmon::Operator even = session.rows(&probe).filter(Expression::call("=", {Expression::sql("n % 2"), Expression::sql("0")}));
  plasmon::Query query = std::move(even).join(session.rows(&build), join).aggregate(sum).start();
  EXPECT(std::string(query.schema()->children[0]->name) == "total");
  EXPECT(number(std::move(query).stream()) == 62250);
  EXPECT(probe_host.stream_released == 1 && build_host.arrays_released == 1);
  // A step that fails leaves what was there.
  probe = host_open(&probe_host, 1, 10);
  plasmon::Operator rows = session.rows(&probe).limit(2, 3);
  EXPECT(failure_of([&] { std::move(rows).filter(Expression::name("nowhere")); }).code() == PLASMON_CODE_USER);
  int64_t kept = 0;
  std::move(rows).start().push([&](plasmon::Array batch) { kept += batch->length; });
  EXPECT(kept == 3);
  EXPECT(session.spill(1) == 0);
}

}  // namespace

int main() {
  plasmon::Session session;
  failures(session);
  streams(session);
  pushes(session);
  stops(session);
  operators(session);
  std::puts("all holds");
}
