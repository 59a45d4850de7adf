"""What crossing the boundary costs, host by host, and whether answers come through it unchanged; prints every figure beside its bar.

    benchmarks/run boundary [--only answers|crossing]

The C++ host reads with Arrow C++, which comes with the pyarrow of the Python that runs this.
"""
import argparse, json, pathlib, subprocess, sys, tempfile

try:
    import pyarrow
except ImportError:
    pyarrow = None

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]
#: Most nanoseconds that a batch may cost on its way in and out, by host.
BARS = {"C": 1000}


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
    return program


def crossing(program):
    """Rows (what, bar, measured, passed) of one host's crossing program."""
    for line in subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
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
    """TPC-H through a host's program against the command's answers."""
    wrong = []
    for query, rows in expected.items():
        run = subprocess.run([program, data, query], check=True, stdout=subprocess.PIPE, text=True)
        if sorted(run.stdout.splitlines()[1:]) != rows:
            wrong.append(query.stem)
    right = len(expected) - len(wrong)
    return f"{host}: TPC-H scale 1, {len(expected)} queries", "answers equal the command's", f"{right} of {len(expected)}" + (f" ({', '.join(wrong)})" if wrong else ""), not wrong


def arrow_cpp(program, plasmon, data):
    """Batches that Arrow C++ reads, through our join and aggregate, back into Arrow C++."""
    sql = f"SELECT c_mktsegment, count(*), sum(o_totalprice) FROM '{data}/orders.parquet' JOIN '{data}/customer.parquet' ON o_custkey = c_custkey GROUP BY 1 ORDER BY 1"
    expected = subprocess.run([plasmon, "sql", "--format", "csv", sql], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[1:]
    run = subprocess.run([program, data / "orders.parquet", data / "customer.parquet"], check=True, stdout=subprocess.PIPE, text=True)
    right = run.stdout.splitlines() == expected
    return "C++: Arrow C++ → join → aggregate → Arrow C++", "equal to the command's", "equal" if right else "different", right


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", type=pathlib.Path, required=True, help="where cargo put libplasmon.so and plasmon")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="TPC-H tables as Parquet")
    parser.add_argument("--only", choices=["answers", "crossing"], help="one part of the figures")
    arguments = parser.parse_args()
    libraries = arguments.release.resolve()
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if arguments.only != "crossing":
            plasmon, data = libraries / "plasmon", arguments.data
            expected = {q: command_line(plasmon, data, q) for q in sorted((ROOT / "benchmarks/tpch/queries").glob("q*.sql"))}
            figures.append(answers("C", compiled(pathlib.Path("ffi/c/tests/tpch.c"), folder, libraries), expected, data))
            if pyarrow:
                figures.append(answers("C++", compiled(pathlib.Path("ffi/cpp/tests/tpch.cpp"), folder, libraries), expected, data))
                figures.append(arrow_cpp(compiled(pathlib.Path("ffi/cpp/examples/join_and_aggregate.cpp"), folder, libraries), plasmon, data))
            else:
                print(f"no pyarrow in {sys.executable}: the C++ hosts are left out", file=sys.stderr)
        if arguments.only != "answers":
            figures += crossing(compiled(pathlib.Path("benchmarks/boundary/crossing.c"), folder, libraries))
    width = max(len(f[0]) for f in figures)
    for what, bar, measured, passed in figures:
        print(f"{what:<{width}}  {bar:<30}  {measured}{'' if passed else '   MISSED'}")
    sys.exit(0 if all(f[3] for f in figures) else 1)


if __name__ == "__main__":
    main()
