"""Writes the results into README.md, between its two markers: the picture, the peers, and every figure beside its bar."""
import re

BEGIN, END = "<!-- results: written by `benchmarks/run engine --scale 10 --publish` -->", "<!-- /results -->"
NAMES = {"duckdb": "DuckDB", "datafusion": "DataFusion", "polars": "Polars", "clickhouse": "ClickHouse", "hyper": "Hyper"}


def section(record, lines):
    """Markdown of one run."""
    picture = f"benchmarks/results/tpch-sf{record['scale']}.svg"
    own = record["peak_megabytes"].get("plasmon", 0)
    rows = [
        f"| {NAMES[p]} {record['versions'].get(p, '')} | {r['geometric_mean']:.2f} | {r['wins']} of {r['queries']} | Q{r['worst_query']} {r['worst_ratio']:.2f} | {own:.0f} / {r['peak_megabytes']:.0f} MB |"
        for p, r in record["summary"].items()
    ]
    verdict = {True: "yes", False: "**no**", None: "not measured"}
    figures = [f"| {what} | {bar} | {measured} | {verdict[passed]} |" for what, bar, measured, passed in lines]
    return "\n".join([
        f"TPC-H scale {record['scale']} from Parquet on {record['machine']}, {record['threads']} threads each, {record['date']} ({record['commit']}). Less than 1 is faster than the peer.",
        "", f"![Plasmon's time over each peer's, query by query]({picture})", "",
        "| peer | time ratio (geometric mean) | faster on | worst query | peak memory, ours / theirs |", "|---|---|---|---|---|", *rows,
        "", "| figure | bar | measured | met |", "|---|---|---|---|", *figures,
    ])


def write(readme, record, lines):
    """Replaces what stands between the markers."""
    text = readme.read_text()
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.S)
    if not pattern.search(text):
        raise SystemExit(f"{readme}: the markers of the results are missing")
    readme.write_text(pattern.sub(lambda _: f"{BEGIN}\n{section(record, lines)}\n{END}", text))
