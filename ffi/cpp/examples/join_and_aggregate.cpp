// A host with data of its own: Arrow C++ reads two Parquet files, its batches go through Plasmon's join and aggregate, and an
// arrow::RecordBatchReader comes back.
//
//   join_and_aggregate orders.parquet customer.parquet
#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <arrow/io/api.h>
#include <parquet/arrow/reader.h>

#include <iostream>

#include "plasmon.hpp"

namespace {

/// A file's batches; the reader of the file lives as long as they are read.
class ParquetBatches : public arrow::RecordBatchReader {
 public:
  static arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> open(const std::string& path) {
    auto opened = std::make_shared<ParquetBatches>();
    ARROW_ASSIGN_OR_RAISE(auto file, arrow::io::MemoryMappedFile::Open(path, arrow::io::FileMode::READ));
    ARROW_ASSIGN_OR_RAISE(opened->file_, parquet::arrow::OpenFile(file, arrow::default_memory_pool()));
    ARROW_ASSIGN_OR_RAISE(opened->batches_, opened->file_->GetRecordBatchReader());
    return opened;
  }
  std::shared_ptr<arrow::Schema> schema() const override { return batches_->schema(); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override { return batches_->ReadNext(batch); }

 private:
  std::unique_ptr<parquet::arrow::FileReader> file_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
};

arrow::Status run(const std::string& orders_path, const std::string& customer_path) {
  ARROW_ASSIGN_OR_RAISE(auto orders, ParquetBatches::open(orders_path));
  ARROW_ASSIGN_OR_RAISE(auto customer, ParquetBatches::open(customer_path));
  plasmon::Stream orders_stream, customer_stream;
  ARROW_RETURN_NOT_OK(arrow::ExportRecordBatchReader(orders, orders_stream.get()));
  ARROW_RETURN_NOT_OK(arrow::ExportRecordBatchReader(customer, customer_stream.get()));

  plasmon::Session session;
  plasmon::Query query = session
                             .statement("SELECT c_mktsegment, count(*) AS orders, sum(o_totalprice) AS price "
                                        "FROM orders JOIN customer ON o_custkey = c_custkey GROUP BY 1 ORDER BY 1")
                             .bind_stream("orders", orders_stream.get())
                             .bind_stream("customer", customer_stream.get())
                             .execute();
  plasmon::Stream rows = query.stream();
  ARROW_ASSIGN_OR_RAISE(auto reader, arrow::ImportRecordBatchReader(rows.get()));
  ARROW_ASSIGN_OR_RAISE(auto table, reader->ToTable());
  for (int64_t row = 0; row < table->num_rows(); row++) {
    for (int column = 0; column < table->num_columns(); column++) {
      ARROW_ASSIGN_OR_RAISE(auto value, table->column(column)->GetScalar(row));
      std::cout << (column > 0 ? "," : "") << value->ToString();
    }
    std::cout << "\n";
  }
  return arrow::Status::OK();
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::cerr << "usage: " << arguments[0] << " orders.parquet customer.parquet\n";
    return 2;
  }
  try {
    arrow::Status status = run(arguments[1], arguments[2]);
    if (!status.ok()) std::cerr << status.ToString() << "\n";
    return status.ok() ? 0 : 1;
  } catch (const plasmon::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
