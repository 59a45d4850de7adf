"""The engines inside Spark that are measured, and how each is set up: equal memory in all, otherwise what its makers recommend."""
import json, pathlib, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks/peers"))
import speed  # noqa: E402

WORKER = pathlib.Path(__file__).resolve().parent / "worker.py"
COMET_VERSION = "1.2.0"
#: What names an engine in tables.
NAMES = {"stock": "Spark", "plasmon": "Plasmon", "comet": "Comet", "gluten": "Gluten (Velox)"}


def common(threads, heap_megabytes, off_heap_megabytes):
    """Settings of every engine."""
    conf = {
        "spark.master": f"local[{threads}]",
        "spark.driver.memory": f"{heap_megabytes}m",
        # Of few gigabytes on two cores; Spark's 200 would measure the scheduler.
        "spark.sql.shuffle.partitions": str(2 * threads),
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.host": "localhost",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if off_heap_megabytes:
        conf |= {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": f"{off_heap_megabytes}m"}
    return conf


def comet_jar(spark_minor):
    """Comet's jar for a minor version of Spark, which Maven puts into its repository."""
    artifact = f"comet-spark-spark{spark_minor}_2.13"
    place = pathlib.Path.home() / ".m2/repository/org/apache/datafusion" / artifact / COMET_VERSION / f"{artifact}-{COMET_VERSION}.jar"
    if not place.exists():
        coordinates = f"org.apache.datafusion:{artifact}:{COMET_VERSION}"
        subprocess.run(["mvn", "--batch-mode", "--quiet", "dependency:get", f"-Dartifact={coordinates}", "-Dtransitive=false"], check=True, stdout=sys.stderr)
    return place


def gluten_jar(environment):
    """Gluten's jar in the environment that its package from PyPI is in; None when it is not there."""
    return next((environment / "lib").glob("python*/site-packages/velox_spark/jars/gluten-velox-bundle-*.jar"), None)


def versions(arguments):
    """The versions of the engines that are not Spark's own, as far as they tell."""
    gluten = gluten_jar(arguments.gluten)
    return {"comet": COMET_VERSION} | ({"gluten": gluten.stem.rpartition("-")[2]} if gluten else {})


def settings(name, arguments):
    """An engine's settings. Who works outside of the heap gets half of the memory there."""
    total = arguments.memory
    heap, off_heap = (total, 0) if name == "stock" else (total // 2, total // 2)
    conf = common(arguments.threads, heap, off_heap)
    if name == "plasmon":
        conf |= {"spark.jars": str(arguments.jar), "spark.plugins": "dev.plasmon.spark.PlasmonPlugin"}
    elif name == "comet":
        jar = str(comet_jar(arguments.spark.rpartition(".")[0]))
        conf |= {
            "spark.jars": jar, "spark.driver.extraClassPath": jar, "spark.executor.extraClassPath": jar, "spark.plugins": "org.apache.spark.CometPlugin",
            "spark.shuffle.manager": "org.apache.spark.sql.comet.execution.shuffle.CometShuffleManager",
        }
    elif name == "gluten":
        jar = str(gluten_jar(arguments.gluten))
        conf |= {
            "spark.driver.extraClassPath": jar, "spark.executor.extraClassPath": jar, "spark.plugins": "org.apache.gluten.GlutenPlugin",
            "spark.shuffle.manager": "org.apache.spark.shuffle.sort.ColumnarShuffleManager",
            # Spark 3.5 has it off, and the others here on; Gluten leaves to Spark what it cannot do in this mode.
            "spark.sql.ansi.enabled": "false",
            "spark.driver.extraJavaOptions": "-Dio.netty.tryReflectionSetAccessible=true --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/jdk.internal.misc=ALL-UNNAMED",
        }
    return conf


def start(name, arguments, data):
    """An engine with its tables; None, and a word why, when it cannot start."""
    python = arguments.gluten / "bin/python" if name == "gluten" else arguments.python
    engine = speed.Engine(name, [str(python), str(WORKER), json.dumps(settings(name, arguments))], arguments.threads)
    line = engine.process.stdout.readline()
    answer = engine.ask(register=str(data)) if line else {"error": "the process ended"}
    if "error" in answer:
        print(f"{name}: could not start, left out: {answer['error'].splitlines()[0][:200]}", flush=True)
        return None
    engine.version = json.loads(line)["version"]
    return engine
