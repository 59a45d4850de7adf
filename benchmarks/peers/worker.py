"""One peer engine in its own process: JSON requests on stdin, JSON answers on stdout, as benchmarks/src/bin/plasmon-worker.rs.

Usage: worker.py ENGINE[:VARIANT] DATA_DIR THREADS. Request {"query": n, "sql": text} or {"setup": text}; answer {seconds, peak_kilobytes, rows} or {error}.
The time covers planning, running and fetching the whole answer; formatting is outside of it.

Every engine reads the same Parquet files by the same query texts, on as many threads and on no more cores. Settings that are not an
engine's default are set here, each with its reason; texts that an engine's dialect refuses are rewritten in rewrites.py alone.
"""
import json, os, sys, time

import rewrites

TABLES = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"]


def table_path(data, table):
    single = os.path.join(data, f"{table}.parquet")
    return single if os.path.exists(single) else os.path.join(data, table, "*.parquet")


class DuckDB:
    def __init__(self, data, threads, variant):
        import duckdb
        self.version = duckdb.__version__
        self.connection = duckdb.connect(config={"threads": threads})
        for t in TABLES:
            self.connection.execute(f"CREATE VIEW {t} AS SELECT * FROM read_parquet('{table_path(data, t)}')")

    def run(self, number, sql):
        return self.connection.execute(sql).fetchall()


class DataFusion:
    """Variant `pushdown` evaluates filters while it decodes Parquet (off by default); the better of both counts."""

    def __init__(self, data, threads, variant):
        import datafusion
        self.version = datafusion.__version__
        config = datafusion.SessionConfig().with_target_partitions(threads).with_parquet_pruning(True)
        pushdown = "true" if variant == "pushdown" else "false"
        config = config.set("datafusion.execution.parquet.pushdown_filters", pushdown)
        config = config.set("datafusion.execution.parquet.reorder_filters", pushdown)
        # 0.05 is a decimal in the other engines: as a double it would give other answers.
        config = config.set("datafusion.sql_parser.parse_float_as_decimal", "true")
        self.context = datafusion.SessionContext(config)
        for t in TABLES:
            self.context.register_parquet(t, table_path(data, t))

    def run(self, number, sql):
        batches = self.context.sql(sql).collect()
        return [tuple(row.values()) for b in batches for row in unnamed(b)]


def unnamed(batch):
    names = [str(i) for i in range(batch.num_columns)]
    return batch.rename_columns(names).to_pylist()


class ClickHouse:
    def __init__(self, data, threads, variant):
        import chdb
        from chdb import session
        self.version = chdb.__version__
        self.session = session.Session()
        # Outer joins give NULL as in SQL (by default ClickHouse gives 0 and ''); correlated sub-queries are allowed.
        self.settings = f"max_threads = {threads}, join_use_nulls = 1, allow_experimental_correlated_subqueries = 1"
        self.session.query("CREATE DATABASE tpch")
        self.session.query("USE tpch")
        for t in TABLES:
            self.session.query(f"CREATE VIEW tpch.{t} AS SELECT * FROM file('{table_path(data, t)}', Parquet)")

    def run(self, number, sql):
        text = self.session.query(f"{sql} SETTINGS {self.settings}", "JSONCompactEachRow").bytes().decode()
        return [tuple(json.loads(line)) for line in text.splitlines()]


class Hyper:
    def __init__(self, data, threads, variant):
        import tableauhyperapi as hyper
        self.version = hyper.__version__
        parameters = {"log_config": "", "max_query_size": "10000000", "hard_concurrent_query_thread_limit": str(threads)}
        self.process = hyper.HyperProcess(hyper.Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=parameters)
        self.connection = hyper.Connection(self.process.endpoint)
        for t in TABLES:
            path = table_path(data, t)
            self.connection.execute_command(f"CREATE TEMP EXTERNAL TABLE {t} FOR '{path}'")

    def run(self, number, sql):
        return [tuple(row) for row in self.connection.execute_list_query(sql)]


class Polars:
    """Through its SQL front end, which plans all 22 texts. Variants `streaming` and `memory` are its two engines; the better counts."""

    def __init__(self, data, threads, variant):
        os.environ["POLARS_MAX_THREADS"] = str(threads)
        import polars
        self.version = polars.__version__
        self.engine = "in-memory" if variant == "memory" else "streaming"
        self.context = polars.SQLContext({t: polars.scan_parquet(table_path(data, t)) for t in TABLES})

    def run(self, number, sql):
        return self.context.execute(sql).collect(engine=self.engine).rows()


ENGINES = {"duckdb": DuckDB, "datafusion": DataFusion, "clickhouse": ClickHouse, "hyper": Hyper, "polars": Polars}


def peak_kilobytes(children):
    """Peak resident size of this process (and of a server process it started) since the last reset."""
    total = 0
    for pid in [os.getpid(), *children]:
        try:
            with open(f"/proc/{pid}/status") as status:
                total += next((int(l.split()[1]) for l in status if l.startswith("VmHWM:")), 0)
        except OSError:
            pass
    return total


def child_processes():
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as f:
            return [int(p) for p in f.read().split()]
    except OSError:
        return []


def main():
    name, data, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    name, _, variant = name.partition(":")
    engine = ENGINES[name](data, threads, variant)
    print(json.dumps({"version": engine.version}), file=output, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        children = child_processes()
        for pid in [os.getpid(), *children]:
            try:
                with open(f"/proc/{pid}/clear_refs", "w") as f:
                    f.write("5")
            except OSError:
                pass
        if "setup" in request:
            try:
                engine.run(0, request["setup"])
                answer = {}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), file=output, flush=True)
            continue
        sql = rewrites.for_peer(name, request["query"], request["sql"].strip().rstrip(";"))
        try:
            start = time.perf_counter()
            rows = engine.run(request["query"], sql)
            seconds = time.perf_counter() - start
            answer = {"seconds": seconds, "peak_kilobytes": peak_kilobytes(children), "rows": [[None if v is None else str(v) for v in r] for r in rows]}
        except Exception as error:  # an engine that cannot run a query is reported, not fatal
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=output, flush=True)


if __name__ == "__main__":
    main()
