"""The record of a run inside Spark: each engine's time over that of Spark's own operators, in figures and as an SVG."""
import math

import engines, picture, speed
from picture import INK, LEFT, LINE, RIGHT, ROW, SOFT, WIDTH

#: Ends of the scale. What lies beyond is drawn at them.
LOW, HIGH = 1 / 32, 2
COLOURS = {"plasmon": "#1f7a45", "comet": "#2563a8", "gluten": "#c0392b"}


def between(record, name, other, what="seconds"):
    """An engine's figure over another's, by query."""
    return {q: s[name] / s[other] for q, s in record[what].items() if name in s and other in s and s[other] > 0}


def summary(record):
    """Per engine: means over stock Spark's, wins, worst query, total of the queries that all could run, share of native operators, peak memory."""
    rows = {}
    everywhere = [q for q, s in record["seconds"].items() if len(s) == len(record["versions"])]
    for name in record["versions"]:
        found = between(record, name, "stock")
        if not found:
            continue
        worst = max(found, key=found.get)
        shares = [n[name] for n in record["native"].values() if name in n]
        cpu = between(record, name, "stock", "cpu_seconds")
        rows[name] = {
            "geometric_mean": speed.geometric_mean(found.values()), "cpu_geometric_mean": speed.geometric_mean(v for v in cpu.values() if v > 0), "queries": len(found),
            "wins": sum(r < 1 for r in found.values()), "worst_query": worst, "worst_ratio": found[worst], "total_seconds": sum(record["seconds"][q][name] for q in everywhere),
            "native": sum(shares) / len(shares), "peak_megabytes": record["peak_megabytes"].get(name, 0),
        }
    return rows


def x_of(ratio):
    """Where a ratio lies, on a scale of powers."""
    share = math.log(min(max(ratio, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def runs(record):
    """What of its runs counts."""
    return "one run after a warm-up" if record["repeat"] == 1 else f"median of {record['repeat']} runs"


def axis(drawing, top, bottom):
    """The scale, with the side on which Spark is left behind shaded."""
    drawing.rect(x_of(LOW), top, x_of(1) - x_of(LOW), bottom - top, picture.BETTER)
    for ratio, label in ((1 / 32, "1/32"), (1 / 16, "1/16"), (1 / 8, "⅛"), (1 / 4, "¼"), (1 / 2, "½"), (1, "1"), (2, "2")):
        x = x_of(ratio)
        drawing.line(x, top, x, bottom, INK if ratio == 1 else LINE, 1.3 if ratio == 1 else 1)
        drawing.text(x, top - 7, label + "×", 12, INK if ratio == 1 else SOFT, "middle", "bold" if ratio == 1 else "normal")
    drawing.text(x_of(1) - 14, top - 25, "◀ faster than Spark's own operators", 12, COLOURS["plasmon"], "end", "bold")
    drawing.text(x_of(1) + 14, top - 25, "slower ▶", 12, SOFT, "start")


def label(record, name):
    return f"{engines.NAMES[name]} {record['engine_versions'].get(name, '')} in Spark {record['versions'][name]}".replace("  ", " ")


def means_panel(drawing, record, top):
    """One bar an engine: geometric mean, wins, CPU."""
    rows = {n: r for n, r in record["summary"].items() if n != "stock"}
    bottom = top + len(rows) * ROW + 8
    axis(drawing, top, bottom)
    drawing.text(WIDTH - RIGHT + 20, top - 7, "faster on", 12, SOFT)
    drawing.text(WIDTH - RIGHT + 98, top - 7, "CPU", 12, SOFT)
    for i, (name, row) in enumerate(rows.items()):
        y = top + 8 + i * ROW
        drawing.text(LEFT - 14, y + 15, engines.NAMES[name], 14, INK, "end", "bold")
        low, high = sorted([x_of(row["geometric_mean"]), x_of(1)])
        drawing.rect(low, y, high - low, ROW - 9, COLOURS[name], 2, f"geometric mean {row['geometric_mean']:.2f}")
        left = row["geometric_mean"] <= 1 and low - LEFT > 46
        drawing.text(low - 7 if left else high + 7, y + 15, f"{row['geometric_mean']:.2f}×", 13.5, INK, "end" if left else "start", "bold")
        drawing.text(WIDTH - RIGHT + 20, y + 15, f"{row['wins']} of {row['queries']}", 13)
        drawing.text(WIDTH - RIGHT + 98, y + 15, f"{row['cpu_geometric_mean']:.2f}×", 13)
    return bottom


def queries_panel(drawing, record, top):
    """One line a query, one dot an engine."""
    names = [n for n in record["summary"] if n != "stock"]
    queries = [q for q, s in record["seconds"].items() if "stock" in s]
    height = 23 if len(queries) < 40 else 17
    bottom = top + len(queries) * height + 6
    axis(drawing, top, bottom)
    drawing.text(WIDTH - RIGHT + 20, top - 7, "Spark's time", 12, SOFT)
    for i, query in enumerate(queries):
        y = top + 15 + i * height
        seconds = record["seconds"][query]
        drawing.text(LEFT - 14, y + 4, query, 12.5, INK, "end")
        found = {n: seconds[n] / seconds["stock"] for n in names if n in seconds}
        if found:
            drawing.line(x_of(min(found.values())), y, x_of(max(found.values())), y, "#c5ccd6", 2)
        for name, ratio in found.items():
            drawing.dot(x_of(ratio), y, COLOURS[name], f"{query}, {engines.NAMES[name]}: {ratio:.2f}")
        drawing.text(WIDTH - RIGHT + 20, y + 4, f"{seconds['stock']:.2f} s", 12)
    return bottom


def draw(record):
    """The whole picture."""
    drawing = picture.Drawing()
    drawing.text(28, 40, f"{record['title']} in Spark: time divided by that of Spark {record['versions'].get('stock', '')}'s own operators", 20, INK, weight="bold")
    drawing.text(28, 62, f"{record['machine']}, {record['threads']} threads and {record['memory_megabytes'] / 1024:g} GiB each, {record['date']}; {runs(record)}, interleaved, answers compared", 13, SOFT)
    y = means_panel(drawing, record, 118)
    drawing.text(28, y + 40, "Query by query", 15, INK, weight="bold")
    x = 180
    for name in (n for n in record["summary"] if n != "stock"):
        drawing.dot(x, y + 35, COLOURS[name], engines.NAMES[name])
        drawing.text(x + 10, y + 39.5, label(record, name), 12.5)
        x += 26 + 7.1 * len(label(record, name))
    y = queries_panel(drawing, record, y + 92)
    return drawing.svg(int(y + 24))
