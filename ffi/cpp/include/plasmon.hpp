// Plasmon for C++17: sessions, statements and queries that close themselves, failures as exceptions, Arrow C streams in and out. Header only, over
// plasmon.h, so that it fits any compiler and standard library that can call C; the rules of ownership and threads are those of ffi/c/ABI.md.
//
//   plasmon::Session session;
//   session.register_path("lineitem", "data/lineitem.parquet");
//   plasmon::Stream rows = session.query("SELECT l_shipmode, count(*) FROM lineitem GROUP BY 1").stream();
//
// With Arrow C++: arrow::ImportRecordBatchReader(rows.get()) gives an arrow::RecordBatchReader; arrow::ExportRecordBatchReader fills a Stream's
// get() for Statement::bind_stream.
//
// Apache License 2.0.
#ifndef PLASMON_HPP
#define PLASMON_HPP

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "plasmon.h"

namespace plasmon {

/// A failure of a call: what plasmon_last_error() tells.
class Error : public std::exception {
 public:
  /// The failure of the call that gave `code`, on the thread that made it.
  explicit Error(int32_t code) : code_(static_cast<plasmon_code>(code)), class_(PLASMON_CLASS_LIBRARY) {
    const plasmon_error* last = plasmon_last_error();
    if (last == nullptr || last->code != code) {
      message_ = plasmon_code_name(code);
      return;
    }
    class_ = static_cast<plasmon_class>(last->error_class);
    message_ = last->message;
    plan_path_ = last->plan_path;
    hint_ = last->hint;
  }

  /// A failure with a message of the caller's own.
  Error(plasmon_code code, std::string message)
      : code_(code), class_(PLASMON_CLASS_CALLER), message_(std::move(message)) {}

  plasmon_code code() const noexcept { return code_; }
  /// Who can mend it.
  plasmon_class error_class() const noexcept { return class_; }
  const char* what() const noexcept override { return message_.c_str(); }
  /// The plan node that is to blame; empty when there is none.
  const std::string& plan_path() const noexcept { return plan_path_; }
  /// What may help; empty when nothing is known to.
  const std::string& hint() const noexcept { return hint_; }

 private:
  plasmon_code code_;
  plasmon_class class_;
  std::string message_, plan_path_, hint_;
};

namespace detail {

inline void check(int32_t code) {
  if (code != PLASMON_CODE_OK) throw Error(code);
}

/// A handle that closes itself; moved, never copied.
template <typename Handle, int32_t (*close)(Handle)>
class Owned {
 public:
  Owned() noexcept : handle_{0} {}
  explicit Owned(Handle handle) noexcept : handle_(handle) {}
  Owned(Owned&& other) noexcept : handle_(other.handle_) { other.handle_.id = 0; }
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (handle_.id != 0) close(handle_);
  }
  Handle get() const noexcept { return handle_; }

 private:
  Handle handle_;
};

/// A struct of the C Data Interface that releases itself.
template <typename Struct>
class Released {
 public:
  Released() noexcept : value_{} {}
  Released(Released&& other) noexcept : value_(other.value_) { other.value_.release = nullptr; }
  Released& operator=(Released&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;
  ~Released() {
    if (value_.release != nullptr) value_.release(&value_);
  }
  /// To be read, filled, or handed to whoever moves it out.
  Struct* get() noexcept { return &value_; }
  const Struct* get() const noexcept { return &value_; }
  Struct* operator->() noexcept { return &value_; }
  const Struct* operator->() const noexcept { return &value_; }
  /// Whether it holds something.
  explicit operator bool() const noexcept { return value_.release != nullptr; }

 private:
  Struct value_;
};

struct FreeText {
  void operator()(char* text) const noexcept { plasmon_text_free(text); }
};
using Text = std::unique_ptr<char, FreeText>;

}  // namespace detail

using Schema = detail::Released<ArrowSchema>;
using Array = detail::Released<ArrowArray>;

/// A stream of batches, each a struct array.
class Stream : public detail::Released<ArrowArrayStream> {
 public:
  /// The columns.
  Schema schema() {
    Schema schema;
    check(get()->get_schema(get(), schema.get()));
    return schema;
  }

  /// The next batch; an empty one at the end.
  Array next() {
    Array batch;
    check(get()->get_next(get(), batch.get()));
    return batch;
  }

 private:
  void check(int errno_value) {
    if (errno_value == 0) return;
    const char* message = get()->get_last_error(get());
    throw Error(PLASMON_CODE_HOST, message != nullptr ? message : "the stream failed without a message");
  }

  friend class Query;
  /// The query of which nobody else holds the handle.
  detail::Owned<plasmon_query, plasmon_query_close> query_;
};

/// What one step of a query came to.
struct Step {
  plasmon_step outcome;
  /// Holds a batch when `outcome` is PLASMON_STEP_BATCH.
  Array batch;
};

/// A statement that runs. Closing it stops what still runs.
class Query {
 public:
  explicit Query(plasmon_query handle) noexcept : handle_(handle) {}

  /// The columns of the result.
  Schema schema() const {
    Schema schema;
    detail::check(plasmon_query_schema(get(), schema.get()));
    return schema;
  }

  /// The rest of the rows, once. The query must live while it is read …
  Stream stream() & {
    Stream stream;
    detail::check(plasmon_query_stream(get(), stream.get()));
    return stream;
  }
  /// … unless the stream is all that is wanted of it.
  Stream stream() && {
    Stream stream = this->stream();
    stream.query_ = std::move(handle_);
    return stream;
  }

  /// Runs the query to its end on this thread. What `consume` throws ends the query and comes out of here.
  void push(const std::function<void(Array)>& consume) {
    struct Call {
      const std::function<void(Array)>& consume;
      std::exception_ptr thrown;
    } call{consume, nullptr};
    plasmon_batch_callback callback = [](void* context, ArrowArray* array) -> int32_t {
      Call& call = *static_cast<Call*>(context);
      Array batch;
      std::swap(*batch.get(), *array);
      try {
        call.consume(std::move(batch));
        return 0;
      } catch (...) {
        call.thrown = std::current_exception();
        return 1;
      }
    };
    int32_t code = plasmon_query_push(get(), callback, &call);
    if (call.thrown) std::rethrow_exception(call.thrown);
    detail::check(code);
  }

  /// A bounded piece of work on this thread; see plasmon_query_step.
  Step step() {
    Step step{};
    int32_t outcome = 0;
    detail::check(plasmon_query_step(get(), step.batch.get(), &outcome));
    step.outcome = static_cast<plasmon_step>(outcome);
    return step;
  }

  /// Stops the query, from any thread.
  void cancel() const { detail::check(plasmon_query_cancel(get())); }

  /// What the query has done so far, from any thread.
  plasmon_progress progress() const {
    plasmon_progress progress;
    detail::check(plasmon_query_progress(get(), &progress));
    return progress;
  }

  /// The plan with what every operator did so far, as JSON, from any thread.
  std::string metrics() const {
    char* text = nullptr;
    detail::check(plasmon_query_metrics(get(), &text));
    return detail::Text(text).get();
  }

  plasmon_query get() const noexcept { return handle_.get(); }

 private:
  detail::Owned<plasmon_query, plasmon_query_close> handle_;
};

/// A statement that is being put together; every setter gives it back.
class Statement {
 public:
  explicit Statement(plasmon_session session) {
    plasmon_statement handle;
    detail::check(plasmon_statement_open(session, &handle));
    handle_ = detail::Owned<plasmon_statement, plasmon_statement_close>(handle);
  }

  Statement& sql(const std::string& text) {
    detail::check(plasmon_statement_set_sql(get(), text.data(), static_cast<int64_t>(text.size())));
    return *this;
  }
  /// A setting for this statement alone.
  Statement& set(const std::string& name, const std::string& value) {
    detail::check(plasmon_statement_set(get(), name.c_str(), value.c_str()));
    return *this;
  }
  Statement& deadline(std::chrono::milliseconds time) {
    detail::check(plasmon_statement_set_deadline(get(), static_cast<uint64_t>(time.count())));
    return *this;
  }
  /// A table of this statement's own, read once while it runs. The stream is moved out.
  Statement& bind_stream(const std::string& name, ArrowArrayStream* stream) {
    detail::check(plasmon_statement_bind_stream(get(), name.c_str(), stream));
    return *this;
  }
  /// The values of $1, $2 …: a struct array of one row. Both are moved out.
  Statement& bind_parameters(ArrowSchema* schema, ArrowArray* array) {
    detail::check(plasmon_statement_bind_parameters(get(), schema, array));
    return *this;
  }

  /// The columns of the result, found by planning alone.
  Schema schema() const {
    Schema schema;
    detail::check(plasmon_statement_schema(get(), schema.get()));
    return schema;
  }
  std::string explain(plasmon_explain_format format = PLASMON_EXPLAIN_FORMAT_TEXT) const {
    char* text = nullptr;
    detail::check(plasmon_statement_explain(get(), format, &text));
    return detail::Text(text).get();
  }
  Query execute() {
    plasmon_query query;
    detail::check(plasmon_statement_execute(get(), &query));
    return Query(query);
  }

  plasmon_statement get() const noexcept { return handle_.get(); }

 private:
  detail::Owned<plasmon_statement, plasmon_statement_close> handle_;
};

/// Tables, views, functions and settings. Any number of threads may use one.
class Session {
 public:
  Session() {
    detail::check(plasmon_check_abi(PLASMON_ABI_VERSION));
    plasmon_session handle;
    detail::check(plasmon_session_open(&handle));
    handle_ = detail::Owned<plasmon_session, plasmon_session_close>(handle);
  }

  Session& set(const std::string& name, const std::string& value) {
    detail::check(plasmon_session_set(get(), name.c_str(), value.c_str()));
    return *this;
  }
  Session& register_path(const std::string& name, const std::string& path) {
    detail::check(plasmon_session_register_path(get(), name.c_str(), path.c_str()));
    return *this;
  }
  /// Reads the stream to its end; its buffers stay the host's. The stream is moved out.
  Session& register_stream(const std::string& name, ArrowArrayStream* stream) {
    detail::check(plasmon_session_register_stream(get(), name.c_str(), stream));
    return *this;
  }
  Session& deregister(const std::string& name) {
    detail::check(plasmon_session_deregister(get(), name.c_str()));
    return *this;
  }

  Statement statement(const std::string& sql) const { return std::move(Statement(get()).sql(sql)); }
  /// Runs one statement.
  Query query(const std::string& sql) const { return statement(sql).execute(); }

  plasmon_session get() const noexcept { return handle_.get(); }

 private:
  detail::Owned<plasmon_session, plasmon_session_close> handle_;
};

}  // namespace plasmon

#endif  // PLASMON_HPP
