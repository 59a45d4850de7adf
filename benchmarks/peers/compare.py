"""TPC-H on Plasmon and its peers: every engine in its own process, queries interleaved, answers compared, ratios of medians.

Prints a table, writes target/peers/tpch.json and target/peers/tpch.svg.
"""
import argparse, json, math, os, pathlib, platform, statistics, subprocess, sys, datetime

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLES = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"]


class Engine:
    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "the process ended"}


def start(name, arguments):
    if name == "plasmon":
        engine = Engine(name, [arguments.worker, str(arguments.threads)])
        for table in TABLES:
            answer = engine.ask(setup=f"CREATE EXTERNAL TABLE {table} STORED AS PARQUET LOCATION '{arguments.data}/{table}.parquet'")
            if "error" in answer:
                sys.exit(f"plasmon: {answer['error']}")
        return engine
    engine = Engine(name, [sys.executable, str(ROOT / "peers" / "worker.py"), name, arguments.data, str(arguments.threads)])
    line = engine.process.stdout.readline()
    if not line:
        print(f"{name}: could not start, left out")
        return None
    engine.version = json.loads(line)["version"]
    return engine


def same(a, b):
    if a == b or (a or "").strip() == (b or "").strip():
        return True
    try:
        x, y = float(a), float(b)
    except (TypeError, ValueError):
        return (a or "")[:10] == (b or "")[:10] and len(a or "") >= 10 and "-" in (a or "")
    return abs(x - y) <= max(1e-6 * abs(y), 0.0051)


def equal(rows, others):
    return len(rows) == len(others) and all(len(r) == len(o) and all(map(same, r, o)) for r, o in zip(rows, others))


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def picture(results, peers, path):
    width, bar, left = 900, 16, 60
    rows = [q for q in results if all(p in results[q] for p in ["plasmon"])]
    height = 40 + len(rows) * (len(peers) * bar + 10)
    colors = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee"]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">', f'<rect width="{width}" height="{height}" fill="white"/>']
    scale = lambda ratio: left + (width - left - 60) * min(max(math.log2(ratio) + 4, 0), 8) / 8
    parts.append(f'<line x1="{scale(1)}" x2="{scale(1)}" y1="24" y2="{height}" stroke="#333"/><text x="{scale(1) - 60}" y="12">time / peer (1 = equal, left is faster)</text>')
    for i, peer in enumerate(peers):
        parts.append(f'<text x="{left + i * 120}" y="26" fill="{colors[i % 5]}">{peer}</text>')
    y = 36
    for query in rows:
        parts.append(f'<text x="8" y="{y + bar}">Q{query}</text>')
        for i, peer in enumerate(peers):
            if peer in results[query]:
                ratio = results[query]["plasmon"] / results[query][peer]
                a, b = sorted([scale(1), scale(ratio)])
                parts.append(f'<rect x="{a:.1f}" y="{y}" width="{max(b - a, 1):.1f}" height="{bar - 3}" fill="{colors[i % 5]}"/><text x="{b + 4:.1f}" y="{y + bar - 5}" font-size="10">{ratio:.2f}</text>')
            y += bar
        y += 10
    path.write_text("\n".join(parts + ["</svg>"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--scale", default="1")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--queries", default=",".join(map(str, range(1, 23))))
    parser.add_argument("--peers", default="duckdb,datafusion,polars,clickhouse,hyper")
    arguments = parser.parse_args()
    engines = [e for e in (start(n, arguments) for n in ["plasmon", *arguments.peers.split(",")]) if e]
    results, memory, notes = {}, {}, []
    for number in map(int, arguments.queries.split(",")):
        sql = (ROOT / "tpch" / "queries" / f"q{number:02}.sql").read_text().strip().rstrip(";")
        times, rows = {e.name: [] for e in engines}, {}
        for _ in range(arguments.repeat):
            for engine in engines:
                answer = engine.ask(query=number, sql=sql)
                if "error" in answer:
                    notes.append(f"Q{number} {engine.name}: {answer['error'].splitlines()[0][:120]}") if not times[engine.name] else None
                    continue
                times[engine.name].append(answer["seconds"])
                memory[engine.name] = max(memory.get(engine.name, 0), answer["peak_kilobytes"] / 1024)
                rows[engine.name] = answer["rows"]
        for name, answer in rows.items():
            if name != "plasmon" and "plasmon" in rows and not equal(rows["plasmon"], answer):
                notes.append(f"Q{number}: plasmon and {name} answer differently")
        results[number] = {name: statistics.median(t) for name, t in times.items() if t}
        line = "  ".join(f"{name} {statistics.median(t):.3f} [{min(t):.3f}-{max(t):.3f}]" for name, t in times.items() if t)
        print(f"Q{number:<2} {line}", flush=True)
    peers = [e.name for e in engines if e.name != "plasmon"]
    print("\ngeometric mean of plasmon's time over the peer's, worst query, peak memory of both")
    for peer in peers:
        ratios = {q: r["plasmon"] / r[peer] for q, r in results.items() if peer in r and "plasmon" in r}
        if ratios:
            worst = max(ratios, key=ratios.get)
            print(f"  {peer:<11} {geometric_mean(list(ratios.values())):.2f} over {len(ratios)} queries; worst Q{worst} {ratios[worst]:.2f}; {memory.get('plasmon', 0):.0f} MB / {memory.get(peer, 0):.0f} MB")
    print("\n".join(sorted(set(notes))))
    out = pathlib.Path("target/peers")
    out.mkdir(parents=True, exist_ok=True)
    record = {"date": str(datetime.date.today()), "machine": platform.processor() or platform.machine(), "threads": arguments.threads, "scale": arguments.scale, "versions": {e.name: getattr(e, "version", "") for e in engines}, "seconds": results, "peak_megabytes": memory, "notes": notes}
    (out / "tpch.json").write_text(json.dumps(record, indent=1))
    picture(results, peers, out / "tpch.svg")
    print(f"written: {out}/tpch.json, {out}/tpch.svg")


if __name__ == "__main__":
    main()
