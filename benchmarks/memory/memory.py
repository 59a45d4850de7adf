"""What a memory budget costs: answers under small budgets, peak of the process, time against budget for Plasmon and DuckDB. Started by benchmarks/run.

Writes target/benchmarks/memory-sf<scale>.{json,svg}; with --publish also benchmarks/results/.
"""
import argparse, datetime, json, os, pathlib, resource, statistics, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks/peers"))
import curve, engine as report, speed  # noqa: E402

PARTS = ["answers", "budgets"]
MEGABYTE = 1 << 20
#: What the process may take beside the budget: code, plans, buffers of files and of the reader.
BESIDE_MEGABYTES = 150
#: Shares of a query's working set (what it reserves without a limit) that it is given; bars of the geometric mean over no limit.
SHARES = {1: None, 4: 1.6, 16: 2.5}
#: A query whose working set is smaller is left out: a sixteenth of it is nothing.
WORKING_SET_MIN = 64 * MEGABYTE


def run_suite(plasmon, suite, data, megabytes, driver):
    """Outcome of each query, and the peak of the process in megabytes."""
    command = [plasmon, suite, "run", "--data", str(data), "--memory", f"{megabytes}MB", "--driver", driver, "--threads", "2", "--format", "json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output = process.stdout.read()
    errors = process.stderr.read()
    _, _, usage = os.wait4(process.pid, 0)
    return [json.loads(line) for line in output.splitlines()], usage.ru_maxrss / 1024, errors


def answers(arguments):
    """TPC-H and TPC-DS under fixed budgets, by both drivers."""
    lines = []
    runs = [("tpch", arguments.data, f"TPC-H scale {arguments.scale}", m) for m in (2048, 512, 256)]
    if (arguments.tpcds / "answers").is_dir():
        runs.append(("tpcds", arguments.tpcds, "TPC-DS scale 1", 128))
    for suite, data, name, megabytes in runs:
        for driver in ("pool", "inline"):
            outcomes, peak, errors = run_suite(arguments.plasmon, suite, data, megabytes, driver)
            right = sum(o["answer"] == "ok" for o in outcomes)
            wrong = [f"{o['query']}: {o['answer']}" for o in outcomes if o["answer"] != "ok"]
            passed = bool(outcomes) and right == len(outcomes) and peak <= megabytes + BESIDE_MEGABYTES
            measured = f"{right} of {len(outcomes)}, {peak:.0f} MB" + (f" ({'; '.join(wrong[:4])})" if wrong else "")
            print(f"  {name}, {megabytes} MB, {driver}: {measured}", flush=True)
            if wrong and errors:
                print("    " + errors.strip().splitlines()[0][:300], flush=True)
            lines.append((f"{name} with {megabytes} MB, {driver}", f"all right, process ≤ {megabytes + BESIDE_MEGABYTES} MB", measured, passed))
    return lines


def timed(engine, number, sql, repeat):
    """The fastest of a few runs and its answer; the error when there is none."""
    best = None
    for _ in range(repeat):
        answer = engine.ask(query=number, sql=sql)
        if "error" in answer:
            return answer
        if best is None or answer["seconds"] < best["seconds"]:
            best = answer
        if answer["seconds"] > speed.SLOW_SECONDS:
            break
    return best


def limited(engine, bytes_):
    """Sets the engine's limit; none when `bytes_` is None."""
    if engine.name == "plasmon":
        return engine.ask(setup=f"SET memory_bytes = {bytes_ or 'none'}")
    return engine.ask(setup=f"SET memory_limit = '{bytes_ // 1024}KiB'" if bytes_ else "RESET memory_limit")


def one_query(number, plasmon, duckdb, repeat):
    """Seconds by share of the working set, for both engines; None when the query needs hardly any memory."""
    sql = (speed.QUERIES / f"q{number:02}.sql").read_text().strip().rstrip(";")
    limited(plasmon, None)
    # Once for the files to be in memory: else whoever comes first pays for all, and every limit looks cheap beside that.
    timed(plasmon, number, sql, 1)
    unlimited = timed(plasmon, number, sql, repeat)
    working_set = unlimited["reserved_bytes"]
    if working_set < WORKING_SET_MIN:
        return None
    row = {"working_set": working_set, "plasmon": {}, "duckdb": {}, "spilled": {}, "notes": []}
    for share in SHARES:
        budget = None if share == 1 else working_set // share
        for engine in filter(None, (plasmon, duckdb)):
            limited(engine, budget)
            answer = unlimited if share == 1 and engine is plasmon else timed(engine, number, sql, repeat)
            if "error" in answer:
                row["notes"].append(f"Q{number} {engine.name} with 1/{share}: {answer['error'].splitlines()[0][:140]}")
                continue
            if not speed.equal(unlimited["rows"], answer["rows"]):
                row["notes"].append(f"Q{number} {engine.name} with 1/{share}: another answer")
            row[engine.name][share] = answer["seconds"]
            if engine is plasmon:
                row["spilled"][share] = answer["spilled_bytes"]
    cells = (f"{name} " + " ".join(f"1/{s} {t:.2f}" for s, t in row[name].items()) for name in ("plasmon", "duckdb"))
    print(f"Q{number:<2} {working_set / MEGABYTE:6.0f} MB  " + "   ".join(cells), flush=True)
    for note in row["notes"]:
        print(f"    {note}", flush=True)
    return row


def budgets(arguments):
    """Time with a fourth and a sixteenth of the working set over no limit, and over DuckDB under the same limit."""
    plasmon = speed.start_plasmon(arguments.worker, arguments.data, 2)
    duckdb = speed.start_peer("duckdb", arguments.data, 2)
    rows = {n: one_query(n, plasmon, duckdb, arguments.repeat) for n in map(int, arguments.queries.split(","))}
    for engine in filter(None, (plasmon, duckdb)):
        engine.close()
    rows = {n: row for n, row in rows.items() if row}
    record = {
        "scale": arguments.scale, "repeat": arguments.repeat, "rows": rows, "machine": report.machine(), "commit": report.commit(), "date": str(datetime.date.today()),
        "versions": {"duckdb": duckdb.version if duckdb else ""},
    }
    report.keep(record, "memory", curve.draw, ROOT / "target/benchmarks")
    if arguments.publish:
        report.keep(record, "memory", curve.draw, ROOT / "benchmarks/results")
    lines = []
    for share, bar in SHARES.items():
        if bar is None:
            continue
        ratios = [r["plasmon"][share] / r["plasmon"][1] for r in rows.values() if share in r["plasmon"]]
        mean, whole = speed.geometric_mean(ratios), len(ratios) == len(rows)
        lines.append((f"time with 1/{share} of the working set over no limit, {len(ratios)} of {len(rows)} queries", f"≤ {bar}", f"{mean:.2f}", whole and mean <= bar))
        both = [r["plasmon"][share] / r["duckdb"][share] for r in rows.values() if share in r["plasmon"] and share in r["duckdb"]]
        if both:
            mean = speed.geometric_mean(both)
            failed = len(ratios) - len(both)
            lines.append((f"the same over DuckDB under that limit, {len(both)} queries ({failed} more it cannot run)", "≤ 1.0", f"{mean:.2f}", mean <= 1.0))
    wrong = [note for r in rows.values() for note in r["notes"] if "duckdb" not in note]
    lines.append(("answers under every budget", "all equal", "all" if not wrong else "; ".join(wrong[:3]), not wrong))
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", required=True, type=pathlib.Path, help="the plasmon-worker program")
    parser.add_argument("--plasmon", required=True, type=pathlib.Path, help="the plasmon program")
    parser.add_argument("--data", required=True, type=pathlib.Path, help="TPC-H data of the scale")
    parser.add_argument("--tpcds", required=True, type=pathlib.Path, help="TPC-DS data of scale 1 with its answers")
    parser.add_argument("--scale", default="10", help="scale of the TPC-H data (10)")
    parser.add_argument("--repeat", type=int, default=2, help="runs of each query under each budget; the fastest counts (2)")
    parser.add_argument("--queries", default=",".join(map(str, range(1, 23))), help="TPC-H queries of the part budgets")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {', '.join(PARTS)}")
    parser.add_argument("--publish", action="store_true", help="also write benchmarks/results")
    arguments = parser.parse_args()
    lines = []
    for part in arguments.only.split(","):
        print(f"== {part}", flush=True)
        lines += {"answers": answers, "budgets": budgets}[part](arguments)
    print()
    report.print_table(lines)
    sys.exit(0 if all(line[3] is not False for line in lines) else 1)


if __name__ == "__main__":
    main()
