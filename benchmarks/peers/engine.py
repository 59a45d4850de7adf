"""Measures and checks the engine in one go, and prints every figure beside its bar. Started by benchmarks/run.

Writes target/benchmarks/tpch-sf<scale>.{json,svg}; with --publish also benchmarks/results/ and the results in README.md.
"""
import argparse, datetime, json, os, pathlib, platform, subprocess

import figures, picture, publish, speed

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PARTS = ["speed", "answers", "tpcds", "slt", "random", "broken"]


def machine():
    """CPU model, cores and memory, as far as the system tells."""
    model, memory = platform.processor() or platform.machine(), ""
    try:
        model = next(l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name"))
        kilobytes = int(next(l.split()[1] for l in open("/proc/meminfo") if l.startswith("MemTotal")))
        memory = f", {kilobytes / 1024**2:.0f} GiB"
    except (OSError, StopIteration):
        pass
    return f"{model}, {os.cpu_count()} cores{memory}"


def commit():
    run = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return run.stdout.strip()


def print_table(lines):
    """What, bar, measured, verdict."""
    verdict = {True: "pass", False: "MISS", None: "not measured"}
    widths = [max((len(str(line[i])) for line in lines), default=0) for i in range(3)]
    for what, bar, measured, passed in lines:
        print(f"  {what:<{widths[0]}}  {bar:<{widths[1]}}  {measured:<{widths[2]}}  {verdict[passed]}")


def run_speed(arguments):
    """Speed and memory against the peers: prints, writes, draws; gives the record."""
    print(f"== TPC-H scale {arguments.scale}: seconds, median [fastest–slowest] of {arguments.repeat}", flush=True)
    queries = [int(q) for q in arguments.queries.split(",")]
    record = speed.measure(arguments.worker, arguments.data, arguments.scale, arguments.threads, arguments.repeat, queries, arguments.peers.split(","))
    record |= {
        "date": str(datetime.date.today()), "machine": machine(), "threads": arguments.threads, "scale": arguments.scale,
        "repeat": arguments.repeat, "commit": commit(), "system": platform.platform(),
    }
    record["summary"] = speed.summary(record)
    print("\npeer        time ratio  faster on  worst           memory")
    for peer, row in record["summary"].items():
        memory = f"{record['peak_megabytes'].get('plasmon', 0):.0f} MB / {row['peak_megabytes']:.0f} MB"
        print(f"{peer:<11} {row['geometric_mean']:>10.2f}  {row['wins']:>2} of {row['queries']:<3}  Q{row['worst_query']:<2} {row['worst_ratio']:<10.2f}  {memory}")
    for peer, choice in record["variants"].items():
        if len(choice["geometric_mean_seconds"]) > 1:
            print(f"  {peer}: {choice['taken']} is its better variant, of {', '.join(f'{n} {m:.3f} s' for n, m in choice['geometric_mean_seconds'].items())}")
    for note in record["notes"]:
        print(f"  note: {note}")
    keep(record, f"tpch-sf{record['scale']}", ROOT / "target/benchmarks", picture.draw)
    return record


def keep(record, name, folder, draw=None):
    """Writes a record and, if it has one, its picture."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    if draw:
        (folder / f"{name}.svg").write_text(draw(record))
    print(f"  written: {folder}/{name}.json" + (" and .svg" if draw else ""))


def earlier(scale):
    """The record of the last run of the speed part, which says its own commit and date."""
    path = ROOT / f"target/benchmarks/tpch-sf{scale}.json"
    if not path.exists():
        raise SystemExit(f"{path} is missing: --publish needs the speed part, now or before")
    record = json.loads(path.read_text())
    record["seconds"] = {int(q): s for q, s in record["seconds"].items()}
    record["spread"] = {int(q): s for q, s in record["spread"].items()}
    print(f"== speed: measured on {record['date']} at {record['commit']}")
    return record


def main():
    parser = argparse.ArgumentParser(prog="benchmarks/run engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="1", help="TPC-H scale factor of the speed part [1]")
    parser.add_argument("--threads", type=int, default=2, help="threads and cores of every engine [2]")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each query, of which the median counts [3]")
    parser.add_argument("--queries", default=",".join(map(str, range(1, 23))), help="TPC-H queries, e.g. 1,6")
    parser.add_argument("--peers", default=",".join(speed.VARIANTS), help="of duckdb,datafusion,polars,clickhouse,hyper")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run, of {','.join(PARTS)}")
    parser.add_argument("--random", type=int, default=2000, help="random queries; the bar is 100000, which takes long [2000]")
    parser.add_argument("--publish", action="store_true", help="write benchmarks/results and README.md; without the speed part, with what it measured last")
    for name in ("worker", "plasmon", "data", "data-sf1", "tpcds"):
        parser.add_argument(f"--{name}", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    if unknown := [p for p in parts if p not in PARTS]:
        parser.error(f"--only: {unknown[0]} is none of {', '.join(PARTS)}")
    lines, record = [], None
    if "speed" in parts:
        record = run_speed(arguments)
    elif arguments.publish:
        record = earlier(arguments.scale)
    if record:
        lines += speed.bars(record)
    if "answers" in parts:
        print("\n== answers under every tier, driver and thread count", flush=True)
        lines += figures.tpch_matrix(arguments.plasmon, arguments.data_sf1, "1")
        if arguments.scale == "10":
            lines += figures.tpch_matrix(arguments.plasmon, arguments.data, "10")
    work = {
        "tpcds": lambda: figures.tpcds(arguments.plasmon, arguments.tpcds), "slt": figures.sql_files,
        "random": lambda: figures.random_queries(arguments.worker, arguments.random), "broken": figures.broken_input,
    }
    for part, measure in work.items():
        if part in parts:
            print(f"\n== {part}", flush=True)
            lines += measure()
    print("\n== what it must show")
    print_table(lines)
    if arguments.publish:
        keep(record, f"tpch-sf{record['scale']}", ROOT / "benchmarks/results", picture.draw)
        publish.write(ROOT / "README.md", record, lines)
        print("  written: README.md")
    raise SystemExit(any(passed is False for *_, passed in lines))


if __name__ == "__main__":
    main()
