"""Each operator alone over rows of twenty times its budget: its answer, and bytes written and read back over those of the rows."""
import datetime, json, pathlib, subprocess

import engine as report

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TIMES, BUDGETS = 20, (16 << 20,)
IO_MAX = 3.0


def measure(arguments):
    """Runs every operator over rows of every shape under each budget, and keeps the record."""
    rows = []
    for budget in BUDGETS:
        print(f"  {TIMES} × {budget >> 20} MiB of rows: bytes written + read over the rows' bytes in memory; seconds, and how many times those without a limit")
        command = [str(arguments.operators), "--budget", str(budget), "--times", str(TIMES), "--threads", "2"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            rows.append(json.loads(line))
            print("  " + described(rows[-1]), flush=True)
        if process.wait() != 0:
            raise SystemExit(f"{' '.join(command)} failed")
    record = {"date": str(datetime.date.today()), "machine": report.machine(), "commit": report.commit(), "times": TIMES, "rows": rows}
    for folder in [ROOT / "target/benchmarks"] + [ROOT / "benchmarks/results"] * arguments.publish:
        report.keep(record, "memory-operators", folder)
    return [line for budget in BUDGETS for line in bars([row for row in rows if row["budget"] == budget])]


def io(row):
    """Bytes written and read over the rows' bytes in memory."""
    return (row["written"] + row["read"]) / row["bytes"]


def described(row):
    """One line of text."""
    written, read = row["written"] / row["bytes"], row["read"] / row["bytes"]
    times = row["seconds"] / max(row["seconds_unlimited"], 1e-9)
    verdict = "" if row["answer"] == "right" else f"  {row['answer'][:110]}"
    return f"{row['operator']:<32} {row['shape']:<13} {written:.2f} + {read:.2f} = {io(row):.2f}  {row['seconds']:6.2f} s, {times:4.1f} ×{verdict}"


def bars(rows):
    """What was measured under one budget beside the bar."""
    right = [row for row in rows if row["answer"] == "right"]
    # A value that is larger than the budget cannot be made within it: that must be refused, by its name.
    refused = [row for row in rows if row["answer"].startswith("refused") and row["largest_value"] > row["budget"]]
    others = sorted({f"{row['operator']}, {row['shape']}" for row in rows if row not in right and row not in refused})
    over = sorted((row for row in right if io(row) > IO_MAX), key=io, reverse=True)
    what = f"each operator alone, {TIMES} × {rows[0]['budget'] >> 20} MiB" if rows else "each operator alone"
    worst = max(right, key=io, default=None)
    measured = f"{io(worst):.2f} ({worst['operator']}, {worst['shape']}); {len(over)} of {len(right)} over it" if worst else "nothing"
    return [
        (f"{what}: answers", "all right", f"{len(right)} of {len(rows)}" + (f", {len(refused)} refused: one value larger than the budget" if refused else "") + (f"; not {'; '.join(others[:4])}" if others else ""), bool(rows) and not others),
        (f"{what}: bytes written and read over the rows'", f"≤ {IO_MAX:.0f}", measured, bool(right) and not over),
    ]
