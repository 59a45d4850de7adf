"""TPC-H on Plasmon and its peers: every engine in its own process on the same cores, runs interleaved, answers compared."""
import json, math, os, pathlib, statistics, subprocess, sys

PEERS = pathlib.Path(__file__).resolve().parent
QUERIES = PEERS.parent / "tpch" / "queries"
TABLES = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"]

#: Peer → the variants that are measured; the one with the smaller geometric mean counts.
VARIANTS = {
    "duckdb": [""],
    "datafusion": ["", "pushdown"],
    "polars": ["streaming", "memory"],
    "clickhouse": [""],
    "hyper": [""],
}
#: Polars' in-memory engine holds whole tables: above this scale it is left out.
POLARS_MEMORY_SCALE_MAX = 3
#: A query that takes an engine longer is run once, not `repeat` times.
SLOW_SECONDS = 60


class Engine:
    """A worker process; `ask` sends one request and waits for its answer."""

    def __init__(self, name, command, threads):
        self.name = name
        self.version = ""
        cores = sorted(os.sched_getaffinity(0))[:threads]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )

    def ask(self, **request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return {"error": "the process ended"}
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "the process ended"}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def start_plasmon(worker, data, threads):
    engine = Engine("plasmon", [worker, str(threads)], threads)
    for table in TABLES:
        single = f"{data}/{table}.parquet"
        location = single if os.path.exists(single) else f"{data}/{table}"
        answer = engine.ask(setup=f"CREATE EXTERNAL TABLE {table} STORED AS PARQUET LOCATION '{location}'")
        if "error" in answer:
            sys.exit(f"plasmon: {answer['error']}")
    return engine


def start_peer(name, data, threads):
    engine = Engine(name, [sys.executable, str(PEERS / "worker.py"), name, str(data), str(threads)], threads)
    line = engine.process.stdout.readline()
    if not line:
        print(f"{name}: could not start, left out", flush=True)
        return None
    engine.version = json.loads(line)["version"]
    return engine


def same(a, b):
    """Equal values: texts without trailing blanks, numbers within 1e-6 or one unit of the last place that both show, dates by their day."""
    a, b = (a or "").rstrip(), (b or "").rstrip()
    if a == b:
        return True
    try:
        x, y = float(a), float(b)
    except ValueError:
        return len(a) >= 10 and a[4:5] == "-" and a[:10] == b[:10]
    places = min(len(t.partition(".")[2]) for t in (a, b))
    return abs(x - y) <= max(1e-6 * abs(y), 1.000001 * 10.0**-places if places else 0)


def equal(rows, others):
    """Same rows in the same order, up to rows that the query's order leaves tied."""
    def pairs(r, o):
        return len(r) == len(o) and all(len(x) == len(y) and all(map(same, x, y)) for x, y in zip(r, o))
    key = lambda row: [value or "" for value in row]
    return pairs(rows, others) or pairs(sorted(rows, key=key), sorted(others, key=key))


def geometric_mean(values):
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def one_query(number, engines, repeat, notes):
    """Seconds and peak megabytes per engine; runs are interleaved, answers compared with Plasmon's."""
    sql = (QUERIES / f"q{number:02}.sql").read_text().strip().rstrip(";")
    seconds, megabytes, rows = {}, {}, {}
    for attempt in range(repeat):
        for engine in engines:
            if attempt and (engine.name not in seconds or seconds[engine.name][0] > SLOW_SECONDS):
                continue
            answer = engine.ask(query=number, sql=sql)
            if "error" in answer:
                notes.append(f"Q{number} {engine.name}: {answer['error'].splitlines()[0][:160]}")
                continue
            seconds.setdefault(engine.name, []).append(answer["seconds"])
            megabytes[engine.name] = max(megabytes.get(engine.name, 0), answer["peak_kilobytes"] / 1024)
            rows[engine.name] = answer["rows"]
    for name, answer in rows.items():
        if name != "plasmon" and "plasmon" in rows and not equal(rows["plasmon"], answer):
            notes.append(f"Q{number}: plasmon and {name} answer differently")
    return seconds, megabytes


def measure(worker, data, scale, threads, repeat, queries, peers):
    """Runs everything; gives the record that is printed, drawn and written as JSON."""
    names = [f"{p}:{v}" if v else p for p in peers for v in VARIANTS[p]]
    if float(scale) > POLARS_MEMORY_SCALE_MAX:
        names = [n for n in names if n != "polars:memory"]
    engines = [start_plasmon(worker, data, threads)] + [e for e in (start_peer(n, data, threads) for n in names) if e]
    record = {"seconds": {}, "spread": {}, "peak_megabytes": {}, "notes": [], "versions": {e.name: e.version for e in engines}}
    for number in queries:
        seconds, megabytes = one_query(number, engines, repeat, record["notes"])
        record["seconds"][number] = {n: statistics.median(t) for n, t in seconds.items()}
        record["spread"][number] = {n: [min(t), max(t)] for n, t in seconds.items()}
        for name, peak in megabytes.items():
            record["peak_megabytes"][name] = max(record["peak_megabytes"].get(name, 0), peak)
        cells = (f"{n} {statistics.median(t):.3f} [{min(t):.3f}–{max(t):.3f}]" for n, t in seconds.items())
        print(f"Q{number:<2} " + "  ".join(cells), flush=True)
    for engine in engines:
        engine.close()
    choose_variants(record)
    return record


def choose_variants(record):
    """Keeps each peer's better variant under the peer's plain name, and says which it was."""
    record["variants"] = {}
    for peer, variants in VARIANTS.items():
        names = [f"{peer}:{v}" if v else peer for v in variants]
        means = {n: geometric_mean(s[n] for s in record["seconds"].values() if n in s) for n in names}
        means = {n: m for n, m in means.items() if not math.isnan(m)}
        if not means:
            continue
        best = min(means, key=means.get)
        record["variants"][peer] = {"taken": best, "geometric_mean_seconds": means}
        for table in ("seconds", "spread"):
            for row in record[table].values():
                taken = row.get(best)
                for name in names:
                    row.pop(name, None)
                if taken is not None:
                    row[peer] = taken
        memory = record["peak_megabytes"]
        peak = memory.get(best, 0)
        for name in names:
            memory.pop(name, None)
        memory[peer] = peak
        version = record["versions"].get(best, "")
        for name in names:
            record["versions"].pop(name, None)
        record["versions"][peer] = version


def ratios(record, peer):
    """Plasmon's time over the peer's, by query."""
    return {q: s["plasmon"] / s[peer] for q, s in record["seconds"].items() if peer in s and "plasmon" in s}


def summary(record):
    """Per peer: geometric mean, worst query, peak memory of both."""
    rows = {}
    for peer in record["variants"]:
        found = ratios(record, peer)
        if found:
            worst = max(found, key=found.get)
            rows[peer] = {
                "geometric_mean": geometric_mean(found.values()), "queries": len(found), "worst_query": worst, "worst_ratio": found[worst],
                "wins": sum(r < 1 for r in found.values()), "peak_megabytes": record["peak_megabytes"].get(peer, 0),
            }
    return rows


def bars(record):
    """The bars of speed and memory: (what, bar, measured, passed)."""
    rows = summary(record)
    lines = []
    for peer, limit in (("datafusion", 0.5), ("duckdb", 1.2), ("polars", 1.2)):
        if peer in rows:
            mean = rows[peer]["geometric_mean"]
            lines.append((f"time, geometric mean of ratios to {peer}", f"≤ {limit}", f"{mean:.2f}", mean <= limit))
    best = {q: s["plasmon"] / min(s[p] for p in ("duckdb", "polars") if p in s)
            for q, s in record["seconds"].items() if "plasmon" in s and ("duckdb" in s or "polars" in s)}
    if best:
        worst = max(best, key=best.get)
        lines.append((f"worst query against the better of duckdb and polars (Q{worst})", "≤ 2", f"{best[worst]:.2f}", best[worst] <= 2))
    if "duckdb" in rows and rows["duckdb"]["peak_megabytes"]:
        ratio = record["peak_megabytes"]["plasmon"] / rows["duckdb"]["peak_megabytes"]
        lines.append(("peak memory over duckdb's", "≤ 1.2", f"{ratio:.2f}", ratio <= 1.2))
    refused = [n for n in record["notes"] if "plasmon" in n]
    lines.append(("answers equal on all engines", "22 of 22", "all" if not refused else "; ".join(refused), not refused))
    return lines
