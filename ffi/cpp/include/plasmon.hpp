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
#include <vector>

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
  /// Gives the handle away: it is no longer closed here.
  Handle release() noexcept {
    Handle handle = handle_;
    handle_.id = 0;
    return handle;
  }

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

/// Bytes of the library's, copied and freed.
inline std::vector<uint8_t> take(plasmon_bytes bytes) {
  struct Free {
    plasmon_bytes* bytes;
    ~Free() { plasmon_bytes_free(bytes); }
  } free{&bytes};
  return std::vector<uint8_t>(bytes.data, bytes.data + bytes.length);
}

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
  /// A plan in the library's own format (plan.proto) in place of a text.
  Statement& plan(const uint8_t* bytes, size_t length) {
    detail::check(plasmon_statement_set_plan(get(), bytes, length));
    return *this;
  }
  Statement& plan(const std::vector<uint8_t>& bytes) { return plan(bytes.data(), bytes.size()); }
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
  /// The optimized plan, for `plan` of a session that knows the same tables.
  std::vector<uint8_t> plan() const {
    plasmon_bytes bytes;
    detail::check(plasmon_statement_plan(get(), &bytes));
    return detail::take(bytes);
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

/// An expression over columns that are not known yet, for operators alone. Copies share one expression.
///
///   Expression dear = Expression::call(">", {Expression::name("price"), Expression::sql("2 * 10")});
class Expression {
 public:
  /// No expression.
  Expression() = default;

  static Expression column(uint64_t ordinal) {
    return make([&](plasmon_expression* out) { return plasmon_expression_column(ordinal, out); });
  }
  static Expression name(const std::string& name) {
    return make([&](plasmon_expression* out) { return plasmon_expression_name(name.c_str(), out); });
  }
  static Expression sql(const std::string& text) {
    return make([&](plasmon_expression* out) {
      return plasmon_expression_sql(text.data(), static_cast<int64_t>(text.size()), out);
    });
  }
  /// The one value of an array. Both structs are moved out.
  static Expression literal(ArrowSchema* schema, ArrowArray* array) {
    return make([&](plasmon_expression* out) { return plasmon_expression_literal(schema, array, out); });
  }
  static Expression call(const std::string& name, const std::vector<Expression>& arguments) {
    std::vector<plasmon_expression> handles = handles_of(arguments);
    return make([&](plasmon_expression* out) {
      return plasmon_expression_call(name.c_str(), handles.data(), handles.size(), out);
    });
  }
  /// The type is moved out.
  static Expression cast(const Expression& operand, ArrowSchema* to, bool or_null = false) {
    return make([&](plasmon_expression* out) { return plasmon_expression_cast(operand.get(), to, or_null, out); });
  }
  static Expression aggregate(const std::string& name, const std::vector<Expression>& arguments,
                              const plasmon_aggregate_clauses* clauses = nullptr) {
    std::vector<plasmon_expression> handles = handles_of(arguments);
    return make([&](plasmon_expression* out) {
      return plasmon_expression_aggregate(name.c_str(), handles.data(), handles.size(), clauses, out);
    });
  }
  static Expression window(const std::string& name, const std::vector<Expression>& arguments,
                           const plasmon_window_clauses* clauses = nullptr) {
    std::vector<plasmon_expression> handles = handles_of(arguments);
    return make([&](plasmon_expression* out) {
      return plasmon_expression_window(name.c_str(), handles.data(), handles.size(), clauses, out);
    });
  }
  /// Under a name for the column that it becomes.
  Expression named(const std::string& name) const {
    return make([&](plasmon_expression* out) { return plasmon_expression_named(get(), name.c_str(), out); });
  }

  plasmon_expression get() const noexcept { return handle_ ? handle_->get() : plasmon_expression{0}; }

  static std::vector<plasmon_expression> handles_of(const std::vector<Expression>& expressions) {
    std::vector<plasmon_expression> handles;
    for (const Expression& expression : expressions) handles.push_back(expression.get());
    return handles;
  }

 private:
  template <typename Make>
  static Expression make(Make make) {
    plasmon_expression handle;
    detail::check(make(&handle));
    Expression made;
    made.handle_ = std::make_shared<const Handle>(handle);
    return made;
  }

  using Handle = detail::Owned<plasmon_expression, plasmon_expression_close>;
  std::shared_ptr<const Handle> handle_;
};

/// One key of an order.
struct Order {
  Expression expression;
  bool descending = false;
  plasmon_nulls nulls = PLASMON_NULLS_DEFAULT;
};

/// Which rows a join gives, and how they match.
struct Join {
  plasmon_join_kind kind = PLASMON_JOIN_KIND_INNER;
  std::vector<Expression> probe_keys, build_keys;
  /// For each pair, whether nulls equal each other; empty = they do not.
  std::vector<uint8_t> null_equal;
  Expression residual;
  bool null_aware = false;
  /// Columns that come out; empty = all.
  std::vector<uint64_t> columns;
};

/// What is aggregated.
struct Aggregate {
  std::vector<Expression> keys, calls;
  plasmon_aggregate_phase phase = PLASMON_AGGREGATE_PHASE_SINGLE;
  /// For each set, whether it keeps each key; empty = plain grouping.
  std::vector<std::vector<bool>> grouping_sets;
  /// For phases that read states: the columns of the rows that they were made of; moved out.
  ArrowSchema* rows = nullptr;
};

/// What is done to the rows of a stream, step after step; runs as one query. Settings are the session's.
///
///   Operator(session, &stream).filter(Expression::sql("a > 1")).aggregate({{Expression::name("k")}, {Expression::sql("sum(a)")}}).start().stream()
class Operator {
 public:
  /// Over a stream, which is moved out.
  Operator(plasmon_session session, ArrowArrayStream* stream) noexcept
      : session_(session), stream_(std::make_unique<detail::Released<ArrowArrayStream>>()) {
    std::swap(*stream_->get(), *stream);
  }

  Operator filter(const Expression& predicate) && {
    return std::move(*this).step([&](plasmon_input input, plasmon_query* out) {
      return plasmon_operator_filter(session_, input, predicate.get(), nullptr, out);
    });
  }
  Operator project(const std::vector<Expression>& expressions) && {
    std::vector<plasmon_expression> handles = Expression::handles_of(expressions);
    return std::move(*this).step([&](plasmon_input input, plasmon_query* out) {
      return plasmon_operator_project(session_, input, handles.data(), handles.size(), nullptr, out);
    });
  }
  /// This is the probe side, which streams.
  Operator join(Operator build, const Join& join) && {
    std::vector<plasmon_expression> probe_keys = Expression::handles_of(join.probe_keys);
    std::vector<plasmon_expression> build_keys = Expression::handles_of(join.build_keys);
    if (probe_keys.size() != build_keys.size() || (!join.null_equal.empty() && join.null_equal.size() != probe_keys.size())) {
      throw Error(PLASMON_CODE_INVALID_ARGUMENT, "the lists of a join's keys differ in length");
    }
    plasmon_join options{};
    options.size = sizeof options;
    options.kind = join.kind;
    options.null_aware = join.null_aware;
    options.probe_keys = probe_keys.data();
    options.build_keys = build_keys.data();
    options.null_equal = join.null_equal.empty() ? nullptr : join.null_equal.data();
    options.key_count = probe_keys.size();
    options.residual = join.residual.get();
    options.columns = join.columns.empty() ? nullptr : join.columns.data();
    options.column_count = join.columns.size();
    Operator made = std::move(*this).step([&](plasmon_input input, plasmon_query* out) {
      return plasmon_operator_join(session_, input, build.input(), &options, nullptr, out);
    });
    build.used();
    return made;
  }
  Operator aggregate(const Aggregate& aggregate) && {
    std::vector<plasmon_expression> keys = Expression::handles_of(aggregate.keys);
    std::vector<plasmon_expression> calls = Expression::handles_of(aggregate.calls);
    std::vector<uint8_t> sets;
    for (const std::vector<bool>& set : aggregate.grouping_sets) {
      for (size_t key = 0; key < keys.size(); key++) sets.push_back(key < set.size() && set[key]);
    }
    plasmon_aggregate options{};
    options.size = sizeof options;
    options.phase = aggregate.phase;
    options.keys = keys.data();
    options.key_count = keys.size();
    options.calls = calls.data();
    options.call_count = calls.size();
    options.grouping_sets = sets.data();
    options.grouping_set_count = aggregate.grouping_sets.size();
    options.rows = aggregate.rows;
    return std::move(*this).step([&](plasmon_input input, plasmon_query* out) {
      return plasmon_operator_aggregate(session_, input, &options, nullptr, out);
    });
  }
  /// Top-N when `fetch` is not negative.
  Operator sort(const std::vector<Order>& keys, uint64_t offset = 0, int64_t fetch = -1) && {
    std::vector<plasmon_order> orders;
    for (const Order& key : keys) orders.push_back({key.expression.get(), key.descending, static_cast<int32_t>(key.nulls)});
    return std::move(*this).step([&](plasmon_input input, plasmon_query* out) {
      return plasmon_operator_sort(session_, input, orders.data(), orders.size(), offset, fetch, nullptr, out);
    });
  }
  Operator window(const std::vector<Expression>& calls) && {
    std::vector<plasmon_expression> handles = Expression::handles_of(calls);
    return std::move(*this).step([&](plasmon_input input, plasmon_query* out) {
      return plasmon_operator_window(session_, input, handles.data(), handles.size(), nullptr, out);
    });
  }
  Operator limit(uint64_t offset, int64_t fetch = -1) && {
    return std::move(*this).step([&](plasmon_input input, plasmon_query* out) {
      return plasmon_operator_limit(session_, input, offset, fetch, nullptr, out);
    });
  }
  Operator partition(const std::vector<Expression>& keys, uint64_t partitions) && {
    std::vector<plasmon_expression> handles = Expression::handles_of(keys);
    return std::move(*this).step([&](plasmon_input input, plasmon_query* out) {
      return plasmon_operator_partition(session_, input, handles.data(), handles.size(), partitions, nullptr, out);
    });
  }

  /// The query, which starts when its rows are asked for. Something must have been done to the rows.
  Query start() && {
    if (query_.get().id == 0) throw Error(PLASMON_CODE_INVALID_STATE, "nothing is done to the rows of the stream");
    return Query(query_.release());
  }

 private:
  plasmon_input input() noexcept { return {query_.get().id == 0 ? stream_->get() : nullptr, query_.get()}; }

  /// The library closed the handle.
  void used() noexcept { query_.release(); }

  template <typename Make>
  Operator step(Make make) && {
    plasmon_query made;
    detail::check(make(input(), &made));
    used();
    query_ = detail::Owned<plasmon_query, plasmon_query_close>(made);
    return std::move(*this);
  }

  plasmon_session session_;
  /// On the heap, because its address is handed over.
  std::unique_ptr<detail::Released<ArrowArrayStream>> stream_;
  detail::Owned<plasmon_query, plasmon_query_close> query_;
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

  /// Rows of a stream, to which operators are applied without a statement. The stream is moved out.
  Operator rows(ArrowArrayStream* stream) const { return Operator(get(), stream); }
  /// Queries that start from now on take their memory of the host; null = they ask nobody.
  Session& set_memory(const plasmon_memory* memory) {
    detail::check(plasmon_session_set_memory(get(), memory));
    return *this;
  }
  /// Asks queries for memory that they took of the host and do not use; how many bytes it got.
  uint64_t spill(uint64_t bytes) const {
    uint64_t freed = 0;
    detail::check(plasmon_session_spill(get(), bytes, &freed));
    return freed;
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
