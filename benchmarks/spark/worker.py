"""One Spark with one engine in it, in a process of its own: JSON requests on stdin, JSON answers on stdout, as benchmarks/peers/worker.py.

Usage: worker.py SETTINGS, a JSON object of Spark's settings. Request {"register": folder} or {"sql": text}; answer {} or {seconds, cpu_seconds, peak_kilobytes, native, rows} or {error}.
The time covers parsing, planning and running, until the whole answer is in the driver; turning it into Python's values is outside of it. CPU seconds are those of the JVM
with all its threads, the garbage collector's and the compiler's among them.
"""
import json, os, pathlib, re, sys, time

#: How each engine names its operators.
NATIVE = re.compile(r"^[\s:+*()\d-]*(Plasmon|Comet|\^|\w+Transformer|Velox|ColumnarExchange|ColumnarBroadcastExchange)")
#: Lines of a plan that are no operators of their own.
NO_OPERATOR = re.compile(r"^[\s:+*()\d-]*(AdaptiveSparkPlan|AQEShuffleRead|ReusedExchange|WholeStageCodegen|InputAdapter|InputIteratorTransformer|\w*QueryStage|ColumnarToRow|\w*ColumnarToRow\w*|Subquery\w*|== )")


class Spark:
    def __init__(self, settings):
        import pyspark
        from pyspark.sql import SparkSession
        self.version = pyspark.__version__
        builder = SparkSession.builder.appName("benchmark")
        for key, value in settings.items():
            builder = builder.config(key, value)
        self.session = builder.getOrCreate()
        self.jvm = self.session.sparkContext._gateway.proc.pid

    def register(self, folder):
        for file in pathlib.Path(folder).glob("*.parquet"):
            self.session.read.parquet(str(file)).createOrReplaceTempView(file.stem)

    def cpu_seconds(self):
        with open(f"/proc/{self.jvm}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_kilobytes(self):
        with open(f"/proc/{self.jvm}/status") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("VmHWM:")), 0)

    def run(self, sql):
        # PySpark's `collect` is these two steps.
        from pyspark.rdd import _load_from_socket
        from pyspark.serializers import BatchedSerializer, CPickleSerializer
        cpu, start = self.cpu_seconds(), time.perf_counter()
        frame = self.session.sql(sql)
        sockets = frame._jdf.collectToPython()
        seconds, cpu = time.perf_counter() - start, self.cpu_seconds() - cpu
        rows = list(_load_from_socket(sockets, BatchedSerializer(CPickleSerializer())))
        plan = frame._jdf.queryExecution().executedPlan().toString()
        return {
            "seconds": seconds, "cpu_seconds": cpu, "peak_kilobytes": self.peak_kilobytes(), "native": native_share(plan),
            "rows": [[None if v is None else str(v) for v in row] for row in rows],
        }


def native_share(plan):
    """Share of the operators of a plan's final form that are the engine's."""
    final = plan.partition("== Initial Plan ==")[0]
    lines = final.splitlines()
    # What only tells Spark's rules which files a native scan reads.
    told = {below for scan, below in zip(lines, lines[1:]) if "PlasmonScan" in scan and "FileScan" in below}
    operators = [line for line in lines if line.strip(" :+-") and not NO_OPERATOR.match(line) and line not in told]
    return sum(bool(NATIVE.match(line)) for line in operators) / len(operators) if operators else 0.0


def main():
    settings = json.loads(sys.argv[1])
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    spark = Spark(settings)
    print(json.dumps({"version": spark.version}), file=output, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = spark.register(request["register"]) or {} if "register" in request else spark.run(request["sql"])
        except Exception as error:  # an engine that cannot run a query is reported, not fatal
            answer = {"error": f"{type(error).__name__}: {error}"[:600]}
        print(json.dumps(answer), file=output, flush=True)


if __name__ == "__main__":
    main()
