// Runs SQL files over a folder of TPC-H tables through plasmon.hpp, reads the rows with Arrow C++ and prints them as CSV.
//
//   tpch DATA QUERY.sql …
#include <arrow/api.h>
#include <arrow/c/bridge.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "plasmon.hpp"

namespace {

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

arrow::Status run(plasmon::Session& session, const std::filesystem::path& path) {
  std::stringstream sql;
  sql << std::ifstream(path).rdbuf();
  plasmon::Stream rows = session.query(sql.str()).stream();
  // Arrow moves the stream out and releases it; `rows` keeps the query until then.
  ARROW_ASSIGN_OR_RAISE(auto reader, arrow::ImportRecordBatchReader(rows.get()));
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(auto batch, reader->Next());
    if (!batch) return arrow::Status::OK();
    for (int64_t row = 0; row < batch->num_rows(); row++) {
      for (int column = 0; column < batch->num_columns(); column++) {
        ARROW_ASSIGN_OR_RAISE(auto value, batch->column(column)->GetScalar(row));
        std::cout << (column > 0 ? "," : "") << (value->is_valid ? quoted(value->ToString()) : "");
      }
      std::cout << "\n";
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    std::cerr << "usage: " << arguments[0] << " DATA QUERY.sql …\n";
    return 2;
  }
  try {
    plasmon::Session session;
    for (const char* table : {"customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"}) {
      session.register_path(table, std::string(arguments[1]) + "/" + table + ".parquet");
    }
    for (int i = 2; i < count; i++) {
      std::filesystem::path path = arguments[i];
      std::cout << "-- " << path.filename().string() << "\n";
      arrow::Status status = run(session, path);
      if (!status.ok()) {
        std::cerr << path << ": " << status.ToString() << "\n";
        return 1;
      }
    }
  } catch (const plasmon::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
