// Plasmon inside of DuckDB: a table function of DuckDB's C API, so that a part of a DuckDB query runs through Plasmon's operators.
//
//   SELECT * FROM plasmon('SELECT c_mktsegment, sum(o_totalprice) FROM o JOIN c ON o_custkey = c_custkey GROUP BY 1',
//                         inputs := MAP {'o': 'SELECT * FROM orders WHERE o_orderdate >= DATE ''1995-01-01''', 'c': 'FROM customer'});
//
// The first argument is for Plasmon; `inputs` names its tables, each with a query for DuckDB. DuckDB scans and filters; its chunks go as an Arrow C
// stream into Plasmon's plan, and the rows of that come back, chunk by chunk, on the thread of DuckDB that asks for them. Nothing is held as a whole.
// Inputs are read on connections of their own: they see what is committed, not the changes of the transaction around them.
#ifndef DUCKDB_FUNCTION_HPP
#define DUCKDB_FUNCTION_HPP

#include <duckdb.h>

#include <cerrno>
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "plasmon.hpp"

namespace duckdb_function {

using Inputs = std::map<std::string, std::string>;

/// An object of DuckDB's C API that destroys itself.
template <typename Handle, void (*destroy)(Handle*)>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  Owned(Owned&& other) noexcept { std::swap(handle_, other.handle_); }
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_ != nullptr) destroy(&handle_);
  }
  Handle get() const { return handle_; }
  Handle* out() { return &handle_; }

 private:
  Handle handle_ = nullptr;
};
using Connection = Owned<duckdb_connection, duckdb_disconnect>;
using Prepared = Owned<duckdb_prepared_statement, duckdb_destroy_prepare>;
using Pending = Owned<duckdb_pending_result, duckdb_destroy_pending>;
using Chunk = Owned<duckdb_data_chunk, duckdb_destroy_data_chunk>;
using Type = Owned<duckdb_logical_type, duckdb_destroy_logical_type>;
using Value = Owned<duckdb_value, duckdb_destroy_value>;
using ArrowOptions = Owned<duckdb_arrow_options, duckdb_destroy_arrow_options>;
using ConvertedSchema = Owned<duckdb_arrow_converted_schema, duckdb_destroy_arrow_converted_schema>;

/// Throws what a function of DuckDB's says.
inline void check(duckdb_error_data error) {
  if (error == nullptr) return;
  std::string message = duckdb_error_data_message(error);
  duckdb_destroy_error_data(&error);
  throw std::runtime_error(message);
}

inline Connection connect(duckdb_database database) {
  Connection connection;
  if (duckdb_connect(database, connection.out()) != DuckDBSuccess) throw std::runtime_error("DuckDB gives no connection");
  return connection;
}

inline std::string text_of(duckdb_value value) {
  std::unique_ptr<char, void (*)(void*)> text(duckdb_get_varchar(value), duckdb_free);
  return text.get();
}

/// A query of DuckDB's as an Arrow C stream, run when its first batch is asked for.
class Input {
 public:
  Input(duckdb_database database, const std::string& sql) : connection_(connect(database)) {
    if (duckdb_prepare(connection_.get(), sql.c_str(), prepared_.out()) != DuckDBSuccess) {
      throw std::runtime_error(duckdb_prepare_error(prepared_.get()));
    }
    duckdb_connection_get_arrow_options(connection_.get(), options_.out());
  }
  ~Input() {
    if (is_running_) duckdb_destroy_result(&result_);
  }

  /// The stream owns the input.
  static plasmon::Stream stream(duckdb_database database, const std::string& sql) {
    plasmon::Stream stream;
    ArrowArrayStream* out = stream.get();
    out->private_data = new Input(database, sql);
    out->get_schema = [](ArrowArrayStream* stream, ArrowSchema* out) { return of(stream).answer([&](Input& input) { input.schema(out); }); };
    out->get_next = [](ArrowArrayStream* stream, ArrowArray* out) { return of(stream).answer([&](Input& input) { input.next(out); }); };
    out->get_last_error = [](ArrowArrayStream* stream) { return of(stream).error_.c_str(); };
    out->release = [](ArrowArrayStream* stream) {
      delete &of(stream);
      stream->release = nullptr;
    };
    return stream;
  }

 private:
  static Input& of(ArrowArrayStream* stream) { return *static_cast<Input*>(stream->private_data); }

  template <typename Work>
  int answer(Work work) {
    try {
      work(*this);
      return 0;
    } catch (const std::exception& error) {
      error_ = error.what();
      return EIO;
    }
  }

  void schema(ArrowSchema* out) {
    idx_t columns = duckdb_prepared_statement_column_count(prepared_.get());
    std::vector<Type> types;
    std::vector<duckdb_logical_type> type_handles;
    std::vector<std::unique_ptr<char, void (*)(void*)>> names;
    std::vector<const char*> name_texts;
    for (idx_t column = 0; column < columns; column++) {
      types.emplace_back(duckdb_prepared_statement_column_logical_type(prepared_.get(), column));
      type_handles.push_back(types.back().get());
      names.emplace_back(const_cast<char*>(duckdb_prepared_statement_column_name(prepared_.get(), column)), duckdb_free);
      name_texts.push_back(names.back().get());
    }
    check(duckdb_to_arrow_schema(options_.get(), type_handles.data(), name_texts.data(), columns, out));
  }

  void next(ArrowArray* out) {
    out->release = nullptr;
    if (!is_running_) start();
    Chunk chunk(duckdb_fetch_chunk(result_));
    if (chunk.get() == nullptr) {
      const char* error = duckdb_result_error(&result_);
      if (error != nullptr) throw std::runtime_error(error);
      return;
    }
    check(duckdb_data_chunk_to_arrow(options_.get(), chunk.get(), out));
  }

  void start() {
    Pending pending;
    duckdb_state state = duckdb_pending_prepared_streaming(prepared_.get(), pending.out());
    if (state != DuckDBSuccess) throw std::runtime_error(duckdb_pending_error(pending.get()));
    state = duckdb_execute_pending(pending.get(), &result_);
    is_running_ = true;
    if (state != DuckDBSuccess) throw std::runtime_error(duckdb_result_error(&result_));
  }

  Connection connection_;
  Prepared prepared_;
  ArrowOptions options_;
  duckdb_result result_{};
  bool is_running_ = false;
  std::string error_;
};

/// What a call of the function says.
struct Call {
  duckdb_database database;
  plasmon::Session* session;
  std::string sql;
  Inputs inputs;

  /// Plasmon's statement of it, its inputs bound and not yet read.
  plasmon::Statement statement() const {
    plasmon::Statement statement = session->statement(sql);
    // On the thread of DuckDB that asks, in batches that fit DuckDB's vectors.
    statement.set("driver", "inline").set("batch_rows", std::to_string(duckdb_vector_size()));
    for (const auto& [name, query] : inputs) {
      plasmon::Stream stream = Input::stream(database, query);
      statement.bind_stream(name, stream.get());
    }
    return statement;
  }
};

/// A run of a call.
struct Rows {
  plasmon::Stream stream;
  Connection connection;
  ConvertedSchema schema;
  /// Columns that DuckDB wants, in its order.
  std::vector<idx_t> columns;
};

/// What DuckDB makes of Arrow's types.
inline ConvertedSchema converted(duckdb_connection connection, ArrowSchema* schema) {
  ConvertedSchema converted;
  check(duckdb_schema_from_arrow(connection, schema, converted.out()));
  return converted;
}

/// An array of no rows for a schema. It and all below it live as long as `arrays`.
inline ArrowArray* no_rows(const ArrowSchema& schema, std::vector<std::unique_ptr<ArrowArray>>& arrays,
                           std::vector<std::unique_ptr<ArrowArray*[]>>& children) {
  static const void* no_buffers[3] = {nullptr, nullptr, nullptr};
  ArrowArray* array = arrays.emplace_back(new ArrowArray{}).get();
  array->n_buffers = 3;
  array->buffers = no_buffers;
  array->n_children = schema.n_children;
  array->release = [](ArrowArray* array) { array->release = nullptr; };
  ArrowArray** below = children.emplace_back(new ArrowArray*[static_cast<size_t>(schema.n_children) + 1]).get();
  array->children = below;
  for (int64_t child = 0; child < schema.n_children; child++) below[child] = no_rows(*schema.children[child], arrays, children);
  if (schema.dictionary != nullptr) array->dictionary = no_rows(*schema.dictionary, arrays, children);
  return array;
}

inline void bind(duckdb_bind_info info) {
  auto& base = *static_cast<Call*>(duckdb_bind_get_extra_info(info));
  auto call = std::make_unique<Call>(base);
  call->sql = text_of(Value(duckdb_bind_get_parameter(info, 0)).get());
  Value inputs(duckdb_bind_get_named_parameter(info, "inputs"));
  for (idx_t input = 0; inputs.get() != nullptr && input < duckdb_get_map_size(inputs.get()); input++) {
    Value name(duckdb_get_map_key(inputs.get(), input)), query(duckdb_get_map_value(inputs.get(), input));
    call->inputs[text_of(name.get())] = text_of(query.get());
  }
  // DuckDB tells the types that it makes of Arrow's by the vectors of a chunk alone.
  plasmon::Schema schema = call->statement().schema();
  if (schema->n_children == 0) throw std::runtime_error("the statement gives no rows");
  std::vector<std::string> names;
  for (int64_t column = 0; column < schema->n_children; column++) names.push_back(schema->children[column]->name);
  std::vector<std::unique_ptr<ArrowArray>> arrays;
  std::vector<std::unique_ptr<ArrowArray*[]>> children;
  ArrowArray* empty = no_rows(*schema.get(), arrays, children);
  Connection connection = connect(call->database);
  ConvertedSchema types = converted(connection.get(), schema.get());
  Chunk chunk;
  check(duckdb_data_chunk_from_arrow(connection.get(), empty, types.get(), chunk.out()));
  for (idx_t column = 0; column < names.size(); column++) {
    Type type(duckdb_vector_get_column_type(duckdb_data_chunk_get_vector(chunk.get(), column)));
    duckdb_bind_add_result_column(info, names[column].c_str(), type.get());
  }
  duckdb_bind_set_bind_data(info, call.release(), [](void* call) { delete static_cast<Call*>(call); });
}

inline void init(duckdb_init_info info) {
  const auto& call = *static_cast<const Call*>(duckdb_init_get_bind_data(info));
  auto rows = std::make_unique<Rows>();
  plasmon::Query query = call.statement().execute();
  plasmon::Schema schema = query.schema();
  rows->stream = std::move(query).stream();
  rows->connection = connect(call.database);
  rows->schema = converted(rows->connection.get(), schema.get());
  for (idx_t column = 0; column < duckdb_init_get_column_count(info); column++) {
    rows->columns.push_back(duckdb_init_get_column_index(info, column));
  }
  // Plasmon's query is read by one thread.
  duckdb_init_set_max_threads(info, 1);
  duckdb_init_set_init_data(info, rows.release(), [](void* rows) { delete static_cast<Rows*>(rows); });
}

inline void next(duckdb_function_info info, duckdb_data_chunk out) {
  auto& rows = *static_cast<Rows*>(duckdb_function_get_init_data(info));
  plasmon::Array batch = rows.stream.next();
  idx_t count = batch ? static_cast<idx_t>(batch->length) : 0;
  if (count > 0) {
    Chunk chunk;
    idx_t width = static_cast<idx_t>(batch->n_children);
    check(duckdb_data_chunk_from_arrow(rows.connection.get(), batch.get(), rows.schema.get(), chunk.out()));
    for (idx_t column = 0; column < rows.columns.size(); column++) {
      // Others are DuckDB's own: the row's number, or nothing at all for count(*).
      if (rows.columns[column] >= width) continue;
      duckdb_vector_reference_vector(duckdb_data_chunk_get_vector(out, column), duckdb_data_chunk_get_vector(chunk.get(), rows.columns[column]));
    }
  }
  duckdb_data_chunk_set_size(out, count);
}

/// A callback in which nothing is thrown through DuckDB's C API.
template <auto work, auto set_error, typename Info, typename... More>
void guarded(Info info, More... more) {
  try {
    work(info, more...);
  } catch (const std::exception& error) {
    set_error(info, error.what());
  }
}

/// Makes `plasmon` known on a connection of `database`. Both `database` and `session` outlive it.
inline void add(duckdb_database database, duckdb_connection connection, plasmon::Session& session) {
  Owned<duckdb_table_function, duckdb_destroy_table_function> function(duckdb_create_table_function());
  Type text(duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR)), map(duckdb_create_map_type(text.get(), text.get()));
  duckdb_table_function_set_name(function.get(), "plasmon");
  duckdb_table_function_add_parameter(function.get(), text.get());
  duckdb_table_function_add_named_parameter(function.get(), "inputs", map.get());
  duckdb_table_function_set_extra_info(function.get(), new Call{database, &session, "", {}}, [](void* call) { delete static_cast<Call*>(call); });
  duckdb_table_function_set_bind(function.get(), guarded<bind, duckdb_bind_set_error>);
  duckdb_table_function_set_init(function.get(), guarded<init, duckdb_init_set_error>);
  duckdb_table_function_set_function(function.get(), guarded<next, duckdb_function_set_error>);
  duckdb_table_function_supports_projection_pushdown(function.get(), true);
  if (duckdb_register_table_function(connection, function.get()) != DuckDBSuccess) throw std::runtime_error("DuckDB refuses the function");
}

}  // namespace duckdb_function

#endif  // DUCKDB_FUNCTION_HPP
