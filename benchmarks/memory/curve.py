"""Time against memory budget as an SVG: a panel a query, a line an engine; where a line ends, the engine cannot run the query with less."""
import math

from picture import COLOURS, INK, LINE, SOFT, WIDTH, Drawing

OURS = "#1f7a45"
COLUMNS, PANEL_HEIGHT, TOP = 4, 170, 96
LABELS = {"1": "all", "4": "¼", "16": "1⁄16"}


def draw(record):
    """The picture of a record of benchmarks/memory/memory.py."""
    drawing = Drawing()
    drawing.text(28, 34, f"TPC-H scale {record['scale']}: time against memory budget", 19, INK, weight="bold")
    drawing.text(28, 56, "Seconds with all, a fourth and a sixteenth of what the query reserves without a limit. A line that ends early: the engine fails with less.", 12, SOFT)
    for x, name, colour in ((28, "Plasmon", OURS), (120, f"DuckDB {record['versions'].get('duckdb', '')}", COLOURS["duckdb"])):
        drawing.line(x, 76, x + 18, 76, colour, 3)
        drawing.text(x + 24, 80, name, 12, INK)
    width = (WIDTH - 56) / COLUMNS
    for index, (number, row) in enumerate(record["rows"].items()):
        panel(drawing, number, row, 28 + index % COLUMNS * width, TOP + index // COLUMNS * PANEL_HEIGHT, width - 24)
    runs = "one run each" if record["repeat"] == 1 else f"the fastest of {record['repeat']} runs"
    bottom = TOP + math.ceil(max(len(record["rows"]), 1) / COLUMNS) * PANEL_HEIGHT
    drawing.text(28, bottom + 18, f"{record['machine']} · {record['date']} · commit {record['commit']} · two threads, {runs}", 11, SOFT)
    return drawing.svg(bottom + 34)


def panel(drawing, number, row, left, top, width):
    """One query."""
    series = {name: {str(share): seconds for share, seconds in row[name].items()} for name in ("plasmon", "duckdb")}
    most = max((s for line in series.values() for s in line.values()), default=1)
    height, base = PANEL_HEIGHT - 62, top + PANEL_HEIGHT - 36
    drawing.text(left, top + 14, f"Q{number}", 13, INK, weight="bold")
    drawing.text(left + 36, top + 14, f"{row['working_set'] / 2**20:.0f} MB", 11, SOFT)
    drawing.text(left + width, top + 14, f"{most:.2f} s", 11, SOFT, "end")
    drawing.line(left, base, left + width, base, LINE)
    places = {share: left + width * (0.08 + 0.42 * i) for i, share in enumerate(LABELS)}
    for share, label in LABELS.items():
        drawing.text(places[share], base + 16, label, 11, SOFT, "middle")
    for name, colour in (("duckdb", COLOURS["duckdb"]), ("plasmon", OURS)):
        points = [(places[s], base - height * line / most, line) for s, line in ((s, series[name].get(s)) for s in LABELS) if line is not None]
        for (x1, y1, _), (x2, y2, _) in zip(points, points[1:]):
            drawing.line(x1, y1, x2, y2, colour, 2)
        for x, y, seconds in points:
            drawing.dot(x, y, colour, f"Q{number} {name}: {seconds:.2f} s")
