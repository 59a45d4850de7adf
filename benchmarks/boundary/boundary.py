"""What crossing the boundary costs, host by host, and whether answers come through it unchanged; prints every figure beside its bar.

    benchmarks/run boundary [--data DIR]
"""
import argparse, json, pathlib, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]
#: Most nanoseconds that a batch may cost on its way in and out, by host.
BARS = {"C": 1000}


def compiled(source, folder, libraries):
    """The program of a C source against the header and the shared library."""
    program = folder / source.stem
    command = ["cc", "-std=gnu11", "-O2", str(ROOT / source), "-I", str(ROOT / "ffi/c/include"), "-L", str(libraries), "-lplasmon", f"-Wl,-rpath,{libraries}", "-o", str(program)]
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


def answers(program, plasmon, data):
    """TPC-H through a host's program against the command's answers."""
    queries = sorted((ROOT / "benchmarks/tpch/queries").glob("q*.sql"))
    wrong = []
    for query in queries:
        run = subprocess.run([program, data, query], check=True, stdout=subprocess.PIPE, text=True)
        if sorted(run.stdout.splitlines()[1:]) != command_line(plasmon, data, query):
            wrong.append(query.stem)
    right = len(queries) - len(wrong)
    return "C: TPC-H scale 1, 22 queries", "answers equal the command's", f"{right} of {len(queries)}" + (f" ({', '.join(wrong)})" if wrong else ""), not wrong


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
            program = compiled(pathlib.Path("ffi/c/tests/tpch.c"), folder, libraries)
            figures.append(answers(program, libraries / "plasmon", arguments.data))
        if arguments.only != "answers":
            figures += crossing(compiled(pathlib.Path("benchmarks/boundary/crossing.c"), folder, libraries))
    width = max(len(f[0]) for f in figures)
    for what, bar, measured, passed in figures:
        print(f"{what:<{width}}  {bar:<30}  {measured}{'' if passed else '   MISSED'}")
    sys.exit(0 if all(f[3] for f in figures) else 1)


if __name__ == "__main__":
    main()
