"""What crossing the boundary costs, host by host, and whether answers come through it unchanged; prints every figure beside its bar.

    benchmarks/run boundary [--only answers|crossing|operator|functions] [--python PYTHON]

The C++ host reads with Arrow C++, which comes with the pyarrow of the Python that runs this. The Java host needs a JDK and Maven. The Python host is
PYTHON, where the wheel of ffi/python is installed; what it is asked for besides needs scikit-learn.
"""
import argparse, json, pathlib, shutil, statistics, subprocess, sys, tempfile

try:
    import pyarrow
except ImportError:
    pyarrow = None

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]
#: Most nanoseconds that a batch may cost on its way in and out, by host.
BARS = {"C": 1000, "Java": 2000}
#: Least speed of a function in SQL, as a part of calling it directly.
FUNCTIONS_BAR = 0.8
#: Least speed of an operator from C, as a share of its speed from Rust.
OPERATOR_BAR = 0.97
#: Runs of each host, taking turns; each has rounds of its own.
OPERATOR_RUNS = 3


def compiled(source, folder, libraries):
    """The program of a C or C++ source against the headers and the shared library; C++ with Arrow C++."""
    program = folder / (source.stem + source.suffix.replace(".", "-"))
    rpath = [str(libraries)]
    command = ["cc", "-std=gnu11"]
    if source.suffix == ".cpp":
        arrow = pathlib.Path(pyarrow.__file__).parent
        version = pyarrow.__version__.split(".")[0]
        command = ["c++", "-std=c++20", "-I", str(ROOT / "ffi/cpp/include"), "-isystem", str(arrow / "include"), "-L", str(arrow), f"-l:libarrow.so.{version}00", f"-l:libparquet.so.{version}00"]
        rpath.append(str(arrow))
    command[2:2] = ["-O2", str(ROOT / source), "-I", str(ROOT / "ffi/c/include")]
    command += ["-L", str(libraries), "-lplasmon", *(f"-Wl,-rpath,{path}" for path in rpath), "-o", str(program)]
    subprocess.run(command, check=True)
    return [program]


def java(source, libraries):
    """The command that runs a Java source with the classes of the jar, which is made if there is none, and with this library."""
    jar = libraries.parent / "java/plasmon-java-0.1.0.jar"
    if not jar.exists():
        subprocess.run(["mvn", "-q", "-f", ROOT / "ffi/jni/pom.xml", "package", "-DskipTests", f"-Dplasmon.target={libraries.parent}"], check=True)
    return ["java", f"-Dplasmon.library.path={libraries}", "-cp", jar, ROOT / source]


def crossing(program):
    """Rows (what, bar, measured, passed) of one host's crossing program."""
    for line in subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
        shape = json.loads(line)
        bar = BARS[shape["host"]]
        what = f"{shape['host']}: {shape['batches']:,} batches of {shape['rows']:,} rows in and out"
        measured = f"{shape['nanoseconds'] / 1000:.2f} µs a batch ({shape['least'] / 1000:.2f} to {shape['most'] / 1000:.2f})"
        yield what, f"≤ {bar / 1000:.0f} µs a batch", measured, shape["nanoseconds"] <= bar
        yield f"{shape['host']}: buffers that kept their address", "all", "all" if shape["zero_copy"] else "not all", shape["zero_copy"]


def command_line(plasmon, data, query):
    """The rows of a query by the command, as sorted lines of CSV."""
    tables = "".join(f"CREATE EXTERNAL TABLE {t} STORED AS PARQUET LOCATION '{data / t}.parquet';\n" for t in TABLES)
    run = subprocess.run([plasmon, "sql", "--format", "csv"], input=tables + query.read_text(), check=True, stdout=subprocess.PIPE, text=True)
    return sorted(run.stdout.splitlines()[1:])


def answers(host, program, expected, data):
    """TPC-H through a host's program (with its first arguments) against the command's answers."""
    wrong = []
    for query, rows in expected.items():
        run = subprocess.run([*program, data, query], check=True, stdout=subprocess.PIPE, text=True)
        if sorted(run.stdout.splitlines()[1:]) != rows:
            wrong.append(query.stem)
    right = len(expected) - len(wrong)
    return f"{host}: TPC-H scale 1, {len(expected)} queries", "answers equal the command's", f"{right} of {len(expected)}" + (f" ({', '.join(wrong)})" if wrong else ""), not wrong


def arrow_cpp(program, plasmon, data):
    """Batches that Arrow C++ reads, through our join and aggregate, back into Arrow C++."""
    sql = f"SELECT c_mktsegment, count(*), sum(o_totalprice) FROM '{data}/orders.parquet' JOIN '{data}/customer.parquet' ON o_custkey = c_custkey GROUP BY 1 ORDER BY 1"
    expected = subprocess.run([plasmon, "sql", "--format", "csv", sql], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[1:]
    run = subprocess.run([*program, data / "orders.parquet", data / "customer.parquet"], check=True, stdout=subprocess.PIPE, text=True)
    right = run.stdout.splitlines() == expected
    return "C++: Arrow C++ → join → aggregate → Arrow C++", "equal to the command's", "equal" if right else "different", right


def functions(python):
    """Models that score rows in SQL against the same models called directly, by Python."""
    run = subprocess.run([python, ROOT / "benchmarks/boundary/functions.py"], check=True, stdout=subprocess.PIPE, text=True)
    for line in run.stdout.splitlines():
        model = json.loads(line)
        ratio = model["direct"] / model["sql"]
        what = f"Python: {model['model']} scores {model['rows']:,} rows in SQL"
        measured = f"{ratio:.2f} ({model['sql']:.2f} s, directly {model['direct']:.2f} s)"
        yield what, f"≥ {FUNCTIONS_BAR} of the speed of calling it", measured, ratio >= FUNCTIONS_BAR and model["same"]


def imports(python, *modules):
    """Whether a Python has modules."""
    return python and subprocess.run([python, "-c", f"import {', '.join(modules)}"], stderr=subprocess.DEVNULL).returncode == 0


def operator(c_program, rust_program):
    """A hash join of 10 M rows with 1 M, from C and from Rust: rounds of both, their medians."""
    seconds, answers = {}, set()
    for _ in range(OPERATOR_RUNS):
        for program in [rust_program, c_program]:
            run = json.loads(subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True).stdout)
            # The first round of a run pays for fresh memory.
            seconds.setdefault(run["host"], []).extend(run["seconds"][1:])
            answers.add((run["rows"], run["checksum"]))
    of_c, of_rust = statistics.median(seconds["C"]), statistics.median(seconds["Rust"])
    measured = f"{of_rust / of_c:.3f} ({of_c * 1000:.0f} ms, {min(seconds['C']) * 1000:.0f} to {max(seconds['C']) * 1000:.0f}; Rust {of_rust * 1000:.0f} ms, {min(seconds['Rust']) * 1000:.0f} to {max(seconds['Rust']) * 1000:.0f})"
    yield "C: hash join alone, 10 M × 1 M int64 keys", f"≥ {OPERATOR_BAR} of Rust's speed", measured, of_rust / of_c >= OPERATOR_BAR
    rows = ", ".join(f"{rows:,} rows" for rows, _ in sorted(answers))
    yield "C: its output", "equal to Rust's", rows if len(answers) == 1 else f"different: {rows}", len(answers) == 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", type=pathlib.Path, required=True, help="where cargo put libplasmon.so and plasmon")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="TPC-H tables as Parquet")
    parser.add_argument("--only", choices=["answers", "crossing", "operator", "functions"], help="one part of the figures")
    parser.add_argument("--python", type=pathlib.Path, help="a Python that has the wheel of ffi/python")
    arguments = parser.parse_args()
    libraries = arguments.release.resolve()
    figures = []
    has_java = shutil.which("mvn") and shutil.which("java")
    if not has_java:
        print("no java or no mvn here: the Java host is left out", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if arguments.only in (None, "answers"):
            plasmon, data = libraries / "plasmon", arguments.data
            expected = {q: command_line(plasmon, data, q) for q in sorted((ROOT / "benchmarks/tpch/queries").glob("q*.sql"))}
            figures.append(answers("C", compiled(pathlib.Path("ffi/c/tests/tpch.c"), folder, libraries), expected, data))
            if pyarrow:
                figures.append(answers("C++", compiled(pathlib.Path("ffi/cpp/tests/tpch.cpp"), folder, libraries), expected, data))
                figures.append(arrow_cpp(compiled(pathlib.Path("ffi/cpp/examples/join_and_aggregate.cpp"), folder, libraries), plasmon, data))
            else:
                print(f"no pyarrow in {sys.executable}: the C++ hosts are left out", file=sys.stderr)
            if has_java:
                figures.append(answers("Java", java("ffi/jni/tests/Tpch.java", libraries), expected, data))
            if imports(arguments.python, "plasmon"):
                figures.append(answers("Python ADBC", [arguments.python, ROOT / "ffi/python/tests/tpch.py"], expected, data))
            else:
                print("no --python with the wheel of ffi/python: the Python host is left out", file=sys.stderr)
        if arguments.only in (None, "functions") and imports(arguments.python, "plasmon", "sklearn"):
            figures += functions(arguments.python)
        if arguments.only in (None, "crossing"):
            figures += crossing(compiled(pathlib.Path("benchmarks/boundary/crossing.c"), folder, libraries))
            if has_java:
                figures += crossing(java("benchmarks/boundary/Crossing.java", libraries))
        if arguments.only in (None, "operator"):
            figures += operator(compiled(pathlib.Path("benchmarks/boundary/join.c"), folder, libraries), [libraries / "plasmon-join"])
    width = max(len(f[0]) for f in figures)
    for what, bar, measured, passed in figures:
        print(f"{what:<{width}}  {bar:<30}  {measured}{'' if passed else '   MISSED'}")
    sys.exit(0 if all(f[3] for f in figures) else 1)


if __name__ == "__main__":
    main()
