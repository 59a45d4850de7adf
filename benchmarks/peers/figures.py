"""The figures besides speed: answers under every driver, thread count and SIMD tier; TPC-DS; SQL files; random queries; broken input.

Each function gives a list of (what, bar, measured, passed); passed is None when it could not be measured.
"""
import json, os, pathlib, re, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
#: Driver, threads: every way in which a query is driven.
DRIVES = [("pool", 1), ("pool", 2), ("inline", 1)]
TIERS = ["scalar", "avx2", "avx512"]


def tiers():
    """The SIMD tiers that this machine has."""
    flags = next((l for l in open("/proc/cpuinfo") if l.startswith("flags")), "").split() if os.path.exists("/proc/cpuinfo") else []
    return [t for t in TIERS if t == "scalar" or t in flags or (t == "avx512" and {"avx512f", "avx512bw", "avx512vl"} <= set(flags))]


def suite(plasmon, command, data, driver="pool", threads=2, tier=None):
    """Answers of a suite by label: ok, wrong, unchecked."""
    environment = dict(os.environ, **({"PLASMON_MAX_ISA": tier} if tier else {}))
    arguments = [plasmon, command, "run", "--data", str(data), "--driver", driver, "--threads", str(threads), "--format", "json"]
    run = subprocess.run(arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return {str(o["query"]): o for o in map(json.loads, run.stdout.splitlines())}, run.stderr


def tpch_matrix(plasmon, data, scale):
    """All 22 answers under every tier, driver and thread count against DuckDB's."""
    total = right = 0
    wrong = []
    for tier in tiers():
        for driver, threads in DRIVES:
            answers, _ = suite(plasmon, "tpch", data, driver, threads, tier)
            total += 22
            right += sum(o["answer"] == "ok" for o in answers.values())
            wrong += [f"Q{q} {tier}/{driver}/{threads}: {o['answer']}" for q, o in answers.items() if o["answer"] != "ok"]
            print(f"  TPC-H {scale}, {tier}, {driver}, {threads} threads: {sum(o['answer'] == 'ok' for o in answers.values())} of 22", flush=True)
    what = f"TPC-H scale {scale}: {len(tiers())} tiers × {len(DRIVES)} ways to drive × 22 queries"
    return [(what, "all equal DuckDB's", f"{right} of {total}" + (f" ({wrong[0]})" if wrong else ""), right == total)]


def tpcds(plasmon, data):
    """The TPC-DS queries against the answers beside the data."""
    what = "TPC-DS scale 1"
    if not (data / "answers").is_dir():
        return [(what, "all equal DuckDB's", f"no data in {data}; tests/oracle/tpcds_data.py makes it", None)]
    answers, errors = suite(plasmon, "tpcds", data)
    right = sum(o["answer"] == "ok" for o in answers.values())
    trouble = f" ({errors.splitlines()[0][:120]})" if right < len(answers) and errors else ""
    return [(f"{what}, {len(answers)} queries", "all equal DuckDB's", f"{right} of {len(answers)}{trouble}", right == len(answers) and right >= 99)]


def slt_counts():
    """Statements in the SQL files, and how many configurations run them."""
    files = list((ROOT / "tests/slt").rglob("*.slt"))
    statements = sum(len(re.findall(r"^(?:statement|query)\b", f.read_text(), re.M)) for f in files)
    configurations = len(re.findall(r"^(?:    with_\w+: Config|fn with_)", (ROOT / "tests/integration/slt.rs").read_text(), re.M))
    return len(files), statements, configurations


def cargo_test(*filters):
    """Runs integration tests by name; gives success and everything printed."""
    command = ["cargo", "test", "--release", "--workspace", "--test", "integration", "--", "--nocapture", *filters]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return run.returncode == 0, run.stdout


def sql_files():
    files, statements, configurations = slt_counts()
    passed, output = cargo_test("slt::")
    failures = re.search(r"(\d+) failures", output)
    measured = f"{statements} statements in {files} files under {configurations} configurations" + (f", {failures[1]} failures" if failures else "")
    return [("sqllogictest", "≥ 1,500 statements, all pass", measured, passed and statements >= 1500)]


def broken_input():
    """The tests print how many cases they tried: `broken input: N cases`."""
    passed, output = cargo_test("broken_input::")
    cases = sum(map(int, re.findall(r"broken input: (\d+) cases", output)))
    return [("broken input", "≥ 10,000 cases, each an error that names the place", f"{cases or 'unknown number of'} cases", passed and cases >= 10_000)]


def random_queries(worker, count):
    """Random SQL against DuckDB, by tests/oracle/random_queries.py."""
    what, bar = "random queries against DuckDB", "≥ 100,000, 0 unexplained differences"
    script = ROOT / "tests/oracle/random_queries.py"
    if not script.exists():
        return [(what, bar, "tests/oracle/random_queries.py is missing", None)]
    # The version that the tests compare with, where it is installed: what is explained is explained for that one.
    oracle = ROOT / "target/oracle/bin/python"
    python = str(oracle) if oracle.exists() else sys.executable
    run = subprocess.run([python, str(script), "--worker", str(worker), "--queries", str(count)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    last = run.stdout.strip().splitlines()[-1] if run.stdout.strip() else "no output"
    return [(what, bar, last[:140], run.returncode == 0 and count >= 100_000)]
