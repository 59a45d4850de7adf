"""TPC-H and TPC-DS inside Spark: its own operators, Plasmon, Comet and Gluten, each in a JVM of its own, runs interleaved query by query, answers compared.
Started by benchmarks/run.

Writes target/benchmarks/spark-<suite>-sf<scale>.{json,svg}; with --publish also benchmarks/results/.
"""
import argparse, datetime, pathlib, platform, statistics, sys

import engines, ratios  # first: it makes the modules of benchmarks/peers known
import engine as report, speed

ROOT = engines.ROOT
QUERIES = {"tpch": ROOT / "benchmarks/tpch/queries", "tpcds": ROOT / "tests/tpcds/queries"}
TITLES = {"tpch": "TPC-H", "tpcds": "TPC-DS"}


def texts(suite, chosen):
    """Name → text; names in quotes are those of columns, which Spark quotes by backticks."""
    found = {path.stem: path.read_text().strip().rstrip(";").replace('"', "`") for path in sorted(QUERIES[suite].glob("*.sql"))}
    if not chosen:
        return found
    names = {name.lstrip("q").lstrip("0"): name for name in found}
    unknown = [q for q in chosen.split(",") if q not in names]
    if unknown:
        sys.exit(f"{suite} has no query {unknown[0]}")
    return {names[q]: found[names[q]] for q in chosen.split(",")}


def one_query(name, sql, running, arguments, notes):
    """Per engine: seconds and CPU seconds of each run after the warm-up, share of native operators, peak memory."""
    runs, rows = {}, {}
    for attempt in range(arguments.warm_up + arguments.repeat):
        for engine in running:
            if attempt and engine.name not in runs:
                continue
            answer = engine.ask(sql=sql)
            if "error" in answer:
                notes.append(f"{name} {engine.name}: {' '.join(answer['error'].split())[:200]}")
                runs.pop(engine.name, None)
                continue
            kept = runs.setdefault(engine.name, [])
            rows[engine.name] = answer.pop("rows")
            if attempt >= arguments.warm_up:
                kept.append(answer)
    for engine, answer in rows.items():
        if engine != "stock" and "stock" in rows and not speed.equal(rows["stock"], answer):
            notes.append(f"{name}: stock and {engine} answer differently")
    return runs


def measure(suite, data, arguments):
    """Runs a suite on all engines; gives the record that is printed, drawn and written as JSON."""
    running = [e for e in (engines.start(n, arguments, data) for n in arguments.engines.split(",")) if e]
    record = {
        "suite": suite, "title": f"{TITLES[suite]} scale {arguments.scale}", "scale": arguments.scale, "seconds": {}, "spread": {}, "cpu_seconds": {}, "native": {}, "peak_megabytes": {},
        "notes": [], "versions": {e.name: e.version for e in running}, "engine_versions": engines.versions(arguments), "date": str(datetime.date.today()), "machine": report.machine(),
        "commit": report.commit(), "system": platform.platform(), "threads": arguments.threads, "repeat": arguments.repeat, "memory_megabytes": arguments.memory,
    }
    for name, sql in texts(suite, arguments.queries).items():
        runs = one_query(name, sql, running, arguments, record["notes"])
        for engine, answers in runs.items():
            times = [a["seconds"] for a in answers]
            record["seconds"].setdefault(name, {})[engine] = statistics.median(times)
            record["spread"].setdefault(name, {})[engine] = [min(times), max(times)]
            record["cpu_seconds"].setdefault(name, {})[engine] = statistics.median(a["cpu_seconds"] for a in answers)
            record["native"].setdefault(name, {})[engine] = answers[-1]["native"]
            peak = max(a["peak_kilobytes"] for a in answers) / 1024
            record["peak_megabytes"][engine] = max(record["peak_megabytes"].get(engine, 0), peak)
        cells = (f"{n} {s:.2f} [{min(record['spread'][name][n]):.2f}–{max(record['spread'][name][n]):.2f}]" for n, s in record["seconds"].get(name, {}).items())
        print(f"{name:<4} " + "  ".join(cells), flush=True)
    for engine in running:
        engine.close()
    record["summary"] = ratios.summary(record)
    return record


def print_summary(record):
    print(f"\n{record['title']}: time over stock Spark {record['versions'].get('stock', '')}'s")
    print(f"{'engine':<16} {'on Spark':<9} {'time':>6} {'CPU':>6}  {'faster on':<11} {'worst':<12} {'seconds':>8} {'native':>7} {'memory':>9}")
    for name, row in record["summary"].items():
        worst = f"{row['worst_query']} {row['worst_ratio']:.2f}"
        wins = f"{row['wins']} of {row['queries']}"
        print(f"{engines.NAMES[name]:<16} {record['versions'][name]:<9} {row['geometric_mean']:>6.2f} {row['cpu_geometric_mean']:>6.2f}  {wins:<11} {worst:<12} "
              f"{row['total_seconds']:>8.1f} {row['native']:>6.0%} {row['peak_megabytes']:>6.0f} MB")
    for note in record["notes"]:
        print(f"  note: {note}")


def lines_of(record):
    """What must be shown: (what, bar, measured, met)."""
    found = []
    stock, plasmon = record["seconds"], record["summary"].get("plasmon")
    if plasmon:
        wrong = [n for n in record["notes"] if "plasmon" in n]
        found.append((f"{record['title']}: answers equal to Spark's", "all", "all" if not wrong else "; ".join(wrong[:3]), not wrong))
        others = {n: ratios.between(record, "plasmon", n) for n in ("comet", "gluten")}
        for other, each in others.items():
            if each:
                mean = speed.geometric_mean(each.values())
                found.append((f"{record['title']}: time over {engines.NAMES[other]}'s, geometric mean of {len(each)} queries", "≤ 1", f"{mean:.2f}", mean <= 1))
        slower = [q for q, r in ratios.between(record, "plasmon", "stock").items() if r > 1.1]
        found.append((f"{record['title']}: queries slower than Spark's own operators by a tenth", "none", ", ".join(slower) or "none", not slower))
    return found if stock else []


def main():
    parser = argparse.ArgumentParser(prog="benchmarks/run spark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="1", help="scale of the data [1]")
    parser.add_argument("--threads", type=int, default=2, help="threads and cores of every engine [2]")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each query after the warm-up, of which the median counts [3]")
    parser.add_argument("--warm-up", type=int, default=1, help="runs of each query that do not count [1]")
    parser.add_argument("--memory", type=int, default=4096, help="megabytes of every engine, of heap and outside of it together [4096]")
    parser.add_argument("--suites", default="tpch,tpcds", help="of tpch,tpcds")
    parser.add_argument("--queries", default="", help="queries of the suites, e.g. 1,6")
    parser.add_argument("--engines", default="stock,plasmon,comet,gluten", help="of stock,plasmon,comet,gluten")
    parser.add_argument("--spark", default="4.1.4", help="version of Spark of all but Gluten, which brings its own [4.1.4, the newest that Comet runs on]")
    parser.add_argument("--publish", action="store_true", help="also write benchmarks/results")
    for name in ("python", "gluten", "jar", "tpch", "tpcds"):
        parser.add_argument(f"--{name}", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    lines = []
    for suite in arguments.suites.split(","):
        print(f"== {TITLES[suite]} scale {arguments.scale} in Spark {arguments.spark}: seconds, median [fastest–slowest] of {arguments.repeat}", flush=True)
        record = measure(suite, getattr(arguments, suite), arguments)
        print_summary(record)
        for folder in [ROOT / "target/benchmarks"] + [ROOT / "benchmarks/results"] * arguments.publish:
            report.keep(record, f"spark-{suite}-sf{arguments.scale}", folder, ratios.draw)
        lines += lines_of(record)
    print("\n== what it must show")
    report.print_table(lines)
    sys.exit(any(met is False for *_, met in lines))


if __name__ == "__main__":
    main()
