// A second engine as a host: DuckDB calls Plasmon's operators in its SQL and compares the rows with its own, bit for bit.
//
//   duckdb TPCH_FOLDER
#include "../examples/duckdb_function.hpp"

#include <cstdio>

namespace {

int failures = 0;

/// The first column of the first row, or the error.
std::string answer(duckdb_connection connection, const std::string& sql) {
  duckdb_result result;
  std::string text;
  if (duckdb_query(connection, sql.c_str(), &result) != DuckDBSuccess) {
    text = std::string("error: ") + duckdb_result_error(&result);
  } else if (char* value = duckdb_value_varchar(&result, 0, 0)) {
    text = value;
    duckdb_free(value);
  }
  duckdb_destroy_result(&result);
  return text;
}

void run(duckdb_connection connection, const std::string& sql) {
  std::string text = answer(connection, sql);
  if (text.rfind("error: ", 0) == 0) throw std::runtime_error(sql + "\n" + text);
}

void expect(const char* what, const std::string& given, const std::string& wanted) {
  bool is_right = wanted.empty() ? false : given.find(wanted) != std::string::npos;
  if (!is_right) {
    failures++;
    std::fprintf(stderr, "%s: %s\n  but %s was expected\n", what, given.c_str(), wanted.c_str());
  }
}

/// Plasmon's rows and DuckDB's as bags, and how many there are.
void same(duckdb_connection connection, const char* what, const std::string& plasmon, const std::string& own, const std::string& rows) {
  std::string both = "WITH p AS (" + plasmon + "), d AS (" + own + ") SELECT concat((SELECT count(*) FROM p), ' ', (SELECT count(*) FROM d), ' ', " +
                     "(SELECT count(*) FROM (SELECT * FROM p EXCEPT ALL SELECT * FROM d)), ' ', " +
                     "(SELECT count(*) FROM (SELECT * FROM d EXCEPT ALL SELECT * FROM p)))";
  expect(what, answer(connection, both), rows + " " + rows + " 0 0");
}

std::string quoted(const std::string& text) {
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

/// `SELECT * FROM plasmon(…)` of a statement over inputs.
std::string call(const std::string& sql, const duckdb_function::Inputs& inputs) {
  std::string map;
  for (const auto& [name, query] : inputs) map += (map.empty() ? "" : ", ") + quoted(name) + ": " + quoted(query);
  return "SELECT * FROM plasmon(" + quoted(sql) + (map.empty() ? "" : ", inputs := MAP {" + map + "}") + ")";
}

void tpch(duckdb_connection connection) {
  const std::string join = "SELECT c_mktsegment, count(*) AS n, sum(o_totalprice) AS price, min(o_orderdate) AS first, max(o_comment) AS last ";
  const std::string orders = "SELECT * FROM orders WHERE o_orderdate >= DATE '1995-01-01' AND o_orderpriority <> '5-LOW'";
  same(connection, "join and aggregate", call(join + "FROM o JOIN c ON o_custkey = c_custkey GROUP BY 1", {{"o", orders}, {"c", "FROM customer"}}),
       join + "FROM (" + orders + ") JOIN customer ON o_custkey = c_custkey GROUP BY 1", "5");

  const std::string sums = "SELECT l_returnflag, l_linestatus, sum(l_quantity) AS quantity, sum(l_extendedprice * (1 - l_discount)) AS price, count(*) AS n ";
  const std::string items = "SELECT * FROM lineitem WHERE l_shipdate <= DATE '1998-09-02' AND l_orderkey < 2000000";
  same(connection, "aggregate of a scan", call(sums + "FROM l GROUP BY 1, 2", {{"l", items}}), sums + "FROM (" + items + ") GROUP BY 1, 2", "4");

  const std::string many = "SELECT l_partkey, l_suppkey, sum(l_quantity) AS quantity, count(DISTINCT l_shipmode) AS modes ";
  const std::string some = "SELECT * FROM lineitem WHERE l_orderkey < 200000";
  std::string rows = answer(connection, "SELECT count(*) FROM (SELECT DISTINCT l_partkey, l_suppkey FROM (" + some + "))");
  same(connection, "aggregate of many groups", call(many + "FROM l GROUP BY 1, 2", {{"l", some}}), many + "FROM (" + some + ") GROUP BY 1, 2", rows);

  // A part of a larger query of DuckDB's, which joins and sorts what comes.
  const std::string part = call("SELECT o_custkey AS k, sum(o_totalprice) AS price FROM o GROUP BY 1", {{"o", orders}});
  const std::string whole = "SELECT c_name, price FROM ({}) JOIN customer ON k = c_custkey ORDER BY price DESC, c_name LIMIT 10";
  auto with = [&](const std::string& inner) { return std::string(whole).replace(whole.find("{}"), 2, inner); };
  same(connection, "inside of a larger query", with(part), with("SELECT o_custkey AS k, sum(o_totalprice) AS price FROM (" + orders + ") GROUP BY 1"), "10");
}

void types(duckdb_connection connection) {
  run(connection,
      "CREATE TABLE every AS SELECT i, i % 7 = 0 AS bool, i::TINYINT AS tiny, i::SMALLINT AS small, i::INTEGER AS int, i::UTINYINT AS utiny, "
      "i::UBIGINT AS ubig, i / 3::FLOAT AS float, i / 7 AS double, (i * 1.25)::DECIMAL(9, 2) AS dec9, (i * 1.25)::DECIMAL(18, 4) AS dec18, "
      "(i * 1.25)::DECIMAL(38, 10) AS dec38, DATE '2026-01-01' + i::INTEGER AS date, TIME '00:00:01' + to_microseconds(i * 1000) AS time, "
      "TIMESTAMP '2026-01-01' + to_microseconds(i) AS stamp, (TIMESTAMP '2026-01-01' + to_microseconds(i))::TIMESTAMP_NS AS nanos, "
      "CASE WHEN i % 3 > 0 THEN concat('text ', i) END AS text, repeat('long ', (i % 9)::INTEGER) AS longs, concat('b', i)::BLOB AS blob, "
      "CASE WHEN i % 4 > 0 THEN [i, NULL, i + 1] END AS list, {'a': i, 'b': concat('s', i)} AS struct, MAP {concat('k', i % 3): i} AS map, "
      "(CASE i % 3 WHEN 0 THEN 'red' WHEN 1 THEN 'green' END)::ENUM('red', 'green', 'blue') AS colour, NULL::INTEGER AS none "
      "FROM range(100) t(i)");
  // Enough rows for several chunks; what Plasmon has another type for comes back as that.
  run(connection, "CREATE VIEW all_types AS SELECT every.* EXCLUDE (colour), colour::VARCHAR AS colour FROM every, range(50)");
  same(connection, "every type", call("SELECT * FROM t", {{"t", "FROM all_types"}}), "FROM all_types", "5000");
  same(connection, "sorted", call("SELECT text, i FROM t ORDER BY text DESC NULLS LAST, i LIMIT 100 OFFSET 7", {{"t", "FROM every"}}),
       "SELECT text, i FROM every ORDER BY text DESC NULLS LAST, i LIMIT 100 OFFSET 7", "93");
  same(connection, "no rows", call("SELECT * FROM t WHERE i < 0", {{"t", "FROM all_types"}}), "FROM all_types WHERE i < 0", "0");
  same(connection, "an input of no rows", call("SELECT * FROM t", {{"t", "FROM all_types WHERE i < 0"}}), "FROM all_types WHERE i < 0", "0");
  same(connection, "an enum", call("SELECT colour, count(*) AS n FROM t GROUP BY 1", {{"t", "FROM every"}}),
       "SELECT colour::VARCHAR AS colour, count(*) AS n FROM every GROUP BY 1", "3");
}

void behaviour(duckdb_connection connection) {
  expect("no inputs", answer(connection, "SELECT sum(value) FROM plasmon('SELECT value FROM generate_series(1, 100000)')"), "5000050000");
  expect("no columns", answer(connection, "SELECT count(*) FROM plasmon('SELECT * FROM t', inputs := MAP {'t': 'FROM range(1000000)'})"), "1000000");
  expect("an early end", answer(connection, "SELECT range FROM plasmon('SELECT * FROM t', inputs := MAP {'t': 'FROM range(100000000000)'}) LIMIT 1"), "0");
  run(connection, "PREPARE twice AS SELECT sum(n) FROM plasmon('SELECT count(*) AS n FROM t', inputs := MAP {'t': 'FROM range(5000)'})");
  for (int time = 0; time < 2; time++) expect("a prepared statement", answer(connection, "EXECUTE twice"), "5000");
  expect("two calls at once", answer(connection, "SELECT count(*) FROM plasmon('SELECT * FROM generate_series(1, 300)') a, plasmon('SELECT * FROM generate_series(1, 40)') b"),
         "12000");
  expect("a wrong statement", answer(connection, "FROM plasmon('SELECT nothing FROM t', inputs := MAP {'t': 'FROM range(5)'})"), "nothing");
  expect("a missing table", answer(connection, "FROM plasmon('SELECT * FROM nowhere')"), "there is no table or view nowhere");
  expect("a wrong input", answer(connection, "FROM plasmon('SELECT * FROM t', inputs := MAP {'t': 'FROM elsewhere'})"), "elsewhere does not exist");
  expect("a failure of Plasmon's", answer(connection, "FROM plasmon('SELECT 1 / (range - 4000) AS x FROM t', inputs := MAP {'t': 'FROM range(5000)'})"), "zero");
  expect("a failure of DuckDB's", answer(connection, "FROM plasmon('SELECT sum(n) FROM t', inputs := MAP {'t': 'SELECT error(''spoilt'') AS n FROM range(9)'})"), "spoilt");
  expect("no rows to give", answer(connection, "FROM plasmon('CREATE TABLE u AS SELECT 1 AS n')"), "no rows");
  expect("and all goes on", answer(connection, "SELECT count(*) FROM plasmon('SELECT * FROM generate_series(1, 300)')"), "300");
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: %s TPCH_FOLDER\n", arguments[0]);
    return 2;
  }
  try {
    plasmon::Session session;
    duckdb_function::Owned<duckdb_database, duckdb_close> database;
    if (duckdb_open(nullptr, database.out()) != DuckDBSuccess) throw std::runtime_error("DuckDB does not open");
    duckdb_function::Connection connection = duckdb_function::connect(database.get());
    duckdb_function::add(database.get(), connection.get(), session);
    for (const char* table : {"customer", "lineitem", "orders"}) {
      run(connection.get(), std::string("CREATE VIEW ") + table + " AS FROM read_parquet(" + quoted(std::string(arguments[1]) + "/" + table + ".parquet") + ")");
    }
    tpch(connection.get());
    types(connection.get());
    behaviour(connection.get());
    if (failures == 0) std::printf("DuckDB %s: all equal\n", duckdb_library_version());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return failures == 0 ? 0 : 1;
}
