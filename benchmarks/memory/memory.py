"""What a memory budget costs: answers under small budgets, peak of the process, time against budget for Plasmon and DuckDB, what is allocated beside what is reserved, sixteen queries in one budget.
Started by benchmarks/run.

Writes target/benchmarks/memory-sf<scale>.{json,svg} and memory-operators.json; with --publish also benchmarks/results/.
"""
import argparse, datetime, json, os, pathlib, resource, statistics, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks/peers"))
import curve, engine as report, operators, speed  # noqa: E402

PARTS = ["operators", "answers", "budgets", "fairness"]
MEGABYTE = 1 << 20
#: What the process may take beside the budget: code, plans, buffers of files and of the reader.
BESIDE_MEGABYTES = 150
#: Shares of a query's working set (what it reserves without a limit) that it is given; bars of the geometric mean over no limit.
SHARES = {1: None, 4: 1.6, 16: 2.5}
#: What may be allocated over what is reserved, without a limit.
ALLOCATED = 1.05
#: A query whose working set is smaller is left out: a sixteenth of it is nothing.
WORKING_SET_MIN = 64 * MEGABYTE


#: Equal queries that share one budget, the share of one's working set that all together get, and the bar of the slowest one's time over its share.
TOGETHER, TOGETHER_SHARE, STARVING = 16, 2, 3.0
#: One query for each kind of state: a join with an aggregate behind it, an aggregate of many groups, a sort.
EQUAL = {
    "join": "SELECT o_orderpriority, count(*) FROM orders JOIN lineitem ON o_orderkey = l_orderkey WHERE l_quantity > 10 GROUP BY 1 ORDER BY 1",
    "aggregate": "SELECT count(*), max(total) FROM (SELECT l_orderkey, l_suppkey, sum(l_extendedprice) AS total FROM lineitem GROUP BY 1, 2)",
    "sort": "SELECT l_orderkey, l_extendedprice FROM lineitem ORDER BY l_extendedprice, l_orderkey OFFSET 100000",
}


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
    row = {"working_set": working_set, "plasmon": {}, "duckdb": {}, "spilled": {}, "allocated": {}, "notes": []}
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
                row["allocated"][share] = answer["allocated_bytes"] / answer["reserved_bytes"]
    cells = (f"{name} " + " ".join(f"1/{s} {t:.2f}" for s, t in row[name].items()) for name in ("plasmon", "duckdb"))
    allocated = " ".join(f"1/{s} {ratio:.2f}" for s, ratio in row["allocated"].items())
    print(f"Q{number:<2} {working_set / MEGABYTE:6.0f} MB  " + "   ".join(cells) + f"   allocated {allocated}", flush=True)
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
    name = f"memory-sf{arguments.scale}"
    report.keep(record, name, ROOT / "target/benchmarks", curve.draw)
    if arguments.publish:
        report.keep(record, name, ROOT / "benchmarks/results", curve.draw)
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
    worst, number = max((r["allocated"][1], n) for n, r in rows.items())
    lines.append((f"bytes allocated over bytes reserved, at most at once, without a limit; worst of {len(rows)} queries", f"≤ {ALLOCATED}", f"{worst:.2f} (Q{number})", worst <= ALLOCATED))
    wrong = [note for r in rows.values() for note in r["notes"] if "duckdb" not in note]
    lines.append(("answers under every budget", "all equal", "all" if not wrong else "; ".join(wrong[:3]), not wrong))
    return lines


def fairness(arguments):
    """Equal queries at once in one process on one small budget: each one's time over its share, which is the time of all one after the other, alone."""
    plasmon = speed.start_plasmon(arguments.worker, arguments.data_sf1, 2)
    lines = []
    for name, sql in EQUAL.items():
        def ask(setup=None, **request):
            answer = plasmon.ask(setup=setup) if setup else plasmon.ask(sql=sql, **request)
            if "error" in answer:
                raise SystemExit(f"{name}: {answer['error']}")
            return answer
        ask("SET session_memory_bytes = none")
        # Once for the files to be in memory, as in `one_query`.
        ask(at_once=1)
        budget = int(ask(at_once=1)["reserved_bytes"]) // TOGETHER_SHARE
        ask(f"SET session_memory_bytes = {budget}")
        alone = min((ask(at_once=1) for _ in range(arguments.repeat)), key=lambda a: a["seconds"][0])
        together = ask(at_once=TOGETHER)
        share = TOGETHER * alone["seconds"][0]
        ratios = sorted(seconds / share for seconds in together["seconds"])
        equal = set(together["rows"]) == set(alone["rows"])
        spilled = together["spilled_bytes"] / MEGABYTE
        print(f"  {name}, {budget / MEGABYTE:.0f} MB: alone {alone['seconds'][0]:.2f} s, share {share:.1f} s, together {max(together['seconds']):.1f} s, {spilled:.0f} MB spilled", flush=True)
        print("    time over share: " + " ".join(f"{r:.2f}" for r in ratios), flush=True)
        print("    of that in line: " + " ".join(f"{w / share:.2f}" for w in sorted(together["waited"])), flush=True)
        what = f"{TOGETHER} equal queries ({name}) with 1/{TOGETHER_SHARE} of one's working set together: the slowest one's time over its share"
        measured = f"{ratios[-1]:.2f}" + ("" if equal else ", other rows")
        lines.append((what, f"≤ {STARVING}", measured, equal and ratios[-1] <= STARVING))
    plasmon.close()
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", required=True, type=pathlib.Path, help="the plasmon-worker program")
    parser.add_argument("--operators", required=True, type=pathlib.Path, help="the plasmon-operators program")
    parser.add_argument("--plasmon", required=True, type=pathlib.Path, help="the plasmon program")
    parser.add_argument("--data", required=True, type=pathlib.Path, help="TPC-H data of the scale")
    parser.add_argument("--data-sf1", required=True, type=pathlib.Path, help="TPC-H data of scale 1, for the part fairness")
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
        lines += {"operators": operators.measure, "answers": answers, "budgets": budgets, "fairness": fairness}[part](arguments)
    print()
    report.print_table(lines)
    sys.exit(0 if all(line[3] is not False for line in lines) else 1)


if __name__ == "__main__":
    main()
