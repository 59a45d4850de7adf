"""The speed record as an SVG: one panel of geometric means and memory, one of ratios per query. Light background, no scripts, no fonts to load."""
import math
from html import escape

import speed

NAMES = {"duckdb": "DuckDB", "datafusion": "DataFusion", "polars": "Polars", "clickhouse": "ClickHouse", "hyper": "Hyper"}
COLOURS = {"duckdb": "#b8860b", "datafusion": "#2563a8", "polars": "#7a3fa0", "clickhouse": "#c0392b", "hyper": "#1f8a70"}
INK, SOFT, LINE, BETTER, PAGE = "#1d2530", "#5c6775", "#d8dde4", "#eef8f1", "#ffffff"
WIDTH = 1080
LEFT, RIGHT = 150, 200
ROW, LOW, HIGH = 30, 1 / 8, 4.0


def x_of(ratio):
    """Position of a ratio: logarithmic from an eighth to four."""
    share = (math.log2(min(max(ratio, LOW), HIGH)) - math.log2(LOW)) / (math.log2(HIGH) - math.log2(LOW))
    return LEFT + share * (WIDTH - LEFT - RIGHT)


class Drawing:
    def __init__(self):
        self.parts = []

    def text(self, x, y, text, size=12, colour=INK, anchor="start", weight="normal"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, colour=LINE, width=1, dash=""):
        dash = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"{dash}/>')

    def rect(self, x, y, width, height, colour, radius=0.0, title=""):
        title = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.6):.1f}" height="{height:.1f}" rx="{radius}" fill="{colour}">{title}</rect>')

    def dot(self, x, y, colour, title):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.4" fill="{colour}" fill-opacity="0.88" stroke="{PAGE}" stroke-width="1"><title>{escape(title)}</title></circle>')

    def svg(self, height):
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="system-ui,-apple-system,Segoe UI,Helvetica,Arial,sans-serif">'
        return "\n".join([head, f'<rect width="{WIDTH}" height="{height}" fill="{PAGE}"/>', *self.parts, "</svg>"]) + "\n"


def axis(drawing, top, bottom):
    """The scale, with the side on which Plasmon is faster shaded."""
    drawing.rect(x_of(LOW), top, x_of(1) - x_of(LOW), bottom - top, BETTER)
    for ratio in (1 / 8, 1 / 4, 1 / 2, 1, 2, 4):
        x = x_of(ratio)
        drawing.line(x, top, x, bottom, INK if ratio == 1 else LINE, 1.3 if ratio == 1 else 1)
        label = {0.125: "⅛", 0.25: "¼", 0.5: "½"}.get(ratio, f"{ratio:g}") + "×"
        drawing.text(x, top - 7, label, 12, INK if ratio == 1 else SOFT, "middle", "bold" if ratio == 1 else "normal")
    drawing.text(x_of(1) - 14, top - 25, "◀ Plasmon is faster", 12, "#1f7a45", "end", "bold")
    drawing.text(x_of(1) + 14, top - 25, "the peer is faster ▶", 12, SOFT, "start")


def means_panel(drawing, record, top):
    """One bar a peer: geometric mean of ratios, wins, memory."""
    rows = speed.summary(record)
    own = record["peak_megabytes"].get("plasmon", 0)
    bottom = top + len(rows) * ROW + 8
    axis(drawing, top, bottom)
    drawing.text(WIDTH - RIGHT + 20, top - 7, "faster on   memory", 12, SOFT)
    for i, (peer, row) in enumerate(rows.items()):
        y = top + 8 + i * ROW
        drawing.text(LEFT - 14, y + 15, NAMES[peer], 14, INK, "end", "bold")
        a, b = sorted([x_of(row["geometric_mean"]), x_of(1)])
        drawing.rect(a, y, b - a, ROW - 9, COLOURS[peer], 2, f"geometric mean {row['geometric_mean']:.2f}")
        faster = row["geometric_mean"] <= 1
        label_x, anchor = (a - 7, "end") if faster and a - LEFT > 46 else (b + 7, "start")
        drawing.text(label_x, y + 15, f"{row['geometric_mean']:.2f}×", 13.5, INK, anchor, "bold")
        memory = f"{own / row['peak_megabytes']:.2f}×" if row["peak_megabytes"] else ""
        drawing.text(WIDTH - RIGHT + 20, y + 15, f"{row['wins']} of {row['queries']}", 13)
        drawing.text(WIDTH - RIGHT + 93, y + 15, memory, 13)
    return bottom


def queries_panel(drawing, record, top):
    """One line a query, one dot a peer."""
    peers = list(record["variants"])
    queries = [q for q, s in record["seconds"].items() if "plasmon" in s]
    height = 23
    bottom = top + len(queries) * height + 6
    axis(drawing, top, bottom)
    drawing.text(WIDTH - RIGHT + 20, top - 7, "Plasmon's time", 12, SOFT)
    for i, query in enumerate(queries):
        y = top + 15 + i * height
        if i:
            drawing.line(LEFT, y - height / 2, WIDTH - RIGHT, y - height / 2, "#f0f2f5")
        drawing.text(LEFT - 14, y + 4, f"Q{query}", 13, INK, "end")
        found = {p: record["seconds"][query]["plasmon"] / record["seconds"][query][p] for p in peers if p in record["seconds"][query]}
        if found:
            drawing.line(x_of(min(found.values())), y, x_of(max(found.values())), y, "#c5ccd6", 2)
        for peer, ratio in found.items():
            drawing.dot(x_of(ratio), y, COLOURS[peer], f"Q{query}, {NAMES[peer]}: {ratio:.2f}")
        low, high = record["spread"][query]["plasmon"]
        middle = record["seconds"][query]["plasmon"]
        drawing.text(WIDTH - RIGHT + 20, y + 4, f"{middle:.3f} s", 12.5)
        drawing.text(WIDTH - RIGHT + 84, y + 4, f"{low:.3f}–{high:.3f}", 11, SOFT)
    return bottom


def draw(record):
    """The whole picture."""
    drawing = Drawing()
    scale, threads = record["scale"], record["threads"]
    drawing.text(28, 40, f"TPC-H scale {scale} from Parquet: Plasmon's time divided by the peer's", 20, INK, weight="bold")
    drawing.text(28, 62, f"{record['machine']}, {threads} threads each, {record['date']}; median of {record['repeat']} interleaved runs, answers compared", 13, SOFT)
    y = means_panel(drawing, record, 118)
    drawing.text(28, y + 40, "Query by query", 15, INK, weight="bold")
    x = 180
    for peer in record["variants"]:
        drawing.dot(x, y + 35, COLOURS[peer], NAMES[peer])
        label = f"{NAMES[peer]} {record['versions'].get(peer, '')}".strip()
        drawing.text(x + 10, y + 39.5, label, 12.5)
        x += 26 + 7.1 * len(label)
    y = queries_panel(drawing, record, y + 92)
    return drawing.svg(int(y + 24))
