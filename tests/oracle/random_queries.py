"""Random queries on random tables: our answers against DuckDB's.

    .venv/bin/python tests/oracle/random_queries.py --worker target/release/plasmon-worker [--queries N] [--seed S] [--hostile]

Each round makes tables from its seed, writes them as Parquet for us and gives them to DuckDB directly, draws settings for us, and compares
`PER_ROUND` queries. A difference is cut to the smallest query and data that still show it and printed with the round's seed; differences that
are known and wanted are recognised by rules and counted: see EXPLAINED.md. The exit status tells whether one was not explained.

With --hostile each query also meets something of its own: all state spilled, next to no memory, refused memory, a failing disk, a cancellation.
It may end in the error that belongs to that, if it belongs to it, and in no other; tables may be larger, so that something is spilled for want of memory.
"""
import argparse, collections, copy, datetime, decimal, json, math, os, pathlib, queue, random, re, shutil, subprocess, sys, tempfile, threading, time
import duckdb
import random_data, random_sql, smallest
from random_sql import DUCK, OURS

PER_ROUND = 100
AHEAD = 16
PASSES = ["simplify", "share", "set_operations", "join_order", "build_side", "late_materialization", "runtime_filters", "top_n_threshold", "prune_columns", "estimate"]
TIMEOUT_SECONDS = 120
#: DuckDB's time for one query. Some plans that it makes of random joins would run for hours.
DUCK_SECONDS = 30
STILL_AT_WORK = "and it is at work"


class Worker:
    """Our engine in a process of its own: statements in, rows as texts out, `AHEAD` at a time under way."""

    #: Seconds for one answer.
    patience = TIMEOUT_SECONDS

    def __init__(self, path, isa):
        environment = dict(os.environ, PLASMON_MAX_ISA=isa) if isa else None
        self.process = subprocess.Popen([path, "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        self.answers = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.answers.put(json.loads(line))
        told = self.process.stderr.read().decode(errors="replace")
        self.answers.put({"error": "CRASH: the worker ended: " + told[max(told.rfind("panicked"), 0):][:1500]})

    def send(self, **request):
        try:
            self.process.stdin.write((json.dumps(request) + "\n").encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def receive(self):
        try:
            return self.answers.get(timeout=self.patience)
        except queue.Empty:
            return {"error": f"CRASH: no answer in {self.patience:g} seconds, {STILL_AT_WORK if self.at_work() else 'and it stands still'}"}

    def at_work(self):
        """Whether the process uses time of the CPU, or waits for what will not come."""
        def ticks():
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])
        try:
            before = ticks()
            time.sleep(2)
            return ticks() - before > os.sysconf("SC_CLK_TCK") // 10
        except OSError:
            return False

    def ask(self, sql, hostility=None):
        self.send(sql=sql, set=hostility.statements if hostility else [])

    def setup(self, sql):
        self.send(setup=sql)
        answer = self.receive()
        if "error" in answer:
            raise RuntimeError(f"{sql}: {answer['error']}")

    def close(self):
        self.process.kill()
        self.process.wait()


def settings(seed):
    """Settings of a round: the environment's instruction cap, statements, whether tables are in memory."""
    r = random.Random(f"settings {seed}")
    statements = [f"SET batch_rows = {r.choice([7, 7, 64, 4096])}", f"SET threads = {r.choice([1, 2])}", f"SET driver = {r.choice(['inline', 'inline', 'pool'])}"]
    if r.random() < 0.2:
        statements.append("SET hash_collisions = true")
    if r.random() < 0.3:
        statements.append("SET disabled_passes = '" + ",".join(r.sample(PASSES, r.choice([1, 1, len(PASSES)]))) + "'")
    return r.choice(["", "scalar", "avx2"]), statements, r.random() < 0.2


# The faults that a query may meet: how often, and the kind of error that it may then end with. Who spills always needs none.
FAULTS = {"none": (3, None), "spill_every": (6, None), "refuse_memory": (3, "OutOfMemory"), "cancel": (1, "Cancelled"),
          "spill_io": (1, "Io"), "spill_full": (1, "Io"), "spill_flip": (1, "Io")}
#: What messages of a kind say.
SAID = {"OutOfMemory": "out of memory: ", "Cancelled": "query cancelled", "Io": " spill"}


class Hostility:
    """What one query meets: a fault, or little memory, or both."""

    #: What tables are made under.
    NONE = ["SET fault = 'none'", "SET memory_bytes = 'none'"]

    def __init__(self, r):
        fault = r.choices(list(FAULTS), [often for often, _ in FAULTS.values()])[0]
        memory = "none"
        # A disk fails those who use it.
        if fault in ("none", "spill_io", "spill_full", "spill_flip") or r.random() < 0.2:
            memory = r.choice([0, 10_000, 100_000, 300_000, 1_000_000])
        self.kinds = [FAULTS[fault][1], memory != "none" and "OutOfMemory"]
        if fault != "none":
            # Early points and late ones.
            fault += f" {r.choice([1, 1, 2, 3, 7]) if fault == 'spill_every' else int(10 ** r.uniform(0, 1.5 if 'spill' in fault else 3.5))}"
        self.statements = [f"SET fault = '{fault}'", f"SET memory_bytes = '{memory}'", f"SET threads = {r.choice([1, 2, 3])}", f"SET driver = {r.choice(['inline', 'pool'])}",
                           f"SET batch_rows = {r.choice([7, 7, 64, 4096])}", f"SET hash_collisions = {r.choice(['true'] + 4 * ['false'])}"]

    def explains(self, answer):
        """Whether the error is one that the query may end with, said as it should be."""
        return "kind" in answer and answer["kind"] in self.kinds and SAID[answer["kind"]] in answer["error"]

    def __str__(self):
        return "; ".join(self.statements)


# ---- comparing
def number(value):
    return format(value, ".9g") if math.isfinite(value) else "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def canonical(value):
    """A DuckDB value as text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value + 0.0)
    if isinstance(value, decimal.Decimal):
        return format(value.normalize(), "f") if value else "0"
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="microseconds")
    return str(value)


def canonical_ours(text, like):
    """Our text of a value, in the form that `canonical` gives a value such as `like`."""
    if text is None or isinstance(like, (str, bool)):
        return text
    try:
        if isinstance(like, float):
            return number(float(text) + 0.0)
        if isinstance(like, (int, decimal.Decimal)):
            return canonical(decimal.Decimal(text))
        if isinstance(like, datetime.datetime):
            return datetime.datetime.fromisoformat(text).isoformat(timespec="microseconds")
        if isinstance(like, datetime.date):
            return text.removesuffix("T00:00:00")
    except (ValueError, decimal.InvalidOperation):
        pass
    return text


def close(a, b, half):
    """Whether two texts are one value: floats to seven digits, averages of decimals to half a unit of our last place (`half`)."""
    if a == b:
        return True
    if a is None or b is None:
        return False
    try:
        if half is not None:
            ours, theirs = decimal.Decimal(a), decimal.Decimal(b)
            return abs(ours - theirs) <= half + abs(theirs) * DOUBLE_ERROR
        x, y = float(a), float(b)
    except (ValueError, decimal.InvalidOperation):
        return False
    return abs(x - y) <= 1e-7 * max(abs(x), abs(y), 1e-2)


# What DuckDB's sum and division in doubles may be off.
DOUBLE_ERROR = decimal.Decimal("1e-14")


def half_unit(data_type, like):
    """Where we answer with a decimal and DuckDB with a float (an average of decimals): half a unit of the decimal's last place."""
    scale = re.fullmatch(r"Decimal\d+\(\d+, (-?\d+)\)", data_type)
    return decimal.Decimal(5).scaleb(-int(scale[1]) - 1) if scale and isinstance(like, float) else None


def same(ours, types, theirs, ordered):
    """Whether the rows are equal; floats to seven digits."""
    width = len(theirs[0]) if theirs else 0
    like = [next((row[i] for row in theirs if row[i] is not None), None) for i in range(width)]
    if len(ours) != len(theirs):
        return False
    halves = [half_unit(t, l) for t, l in zip(types, like)]
    theirs = [[repr(v) if h is not None and v is not None else canonical(v) for v, h in zip(row, halves)] for row in theirs]
    ours = [[v if h is not None else canonical_ours(v, l) for v, l, h in zip(row, like, halves)] for row in ours]
    match = lambda a, b: all(map(close, a, b, halves))
    if ordered:
        return all(map(match, ours, theirs))
    # What is not exact comes last, so that rows of both sides still meet.
    places = sorted(range(width), key=lambda i: (halves[i] is not None, isinstance(like[i], float)))
    key = lambda row: [(row[i] is None, row[i] or "") for i in places]
    ours, theirs = sorted(ours, key=key), sorted(theirs, key=key)
    if ours == theirs or all(map(match, ours, theirs)):
        return True
    left = collections.Counter(map(tuple, theirs)) - collections.Counter(map(tuple, ours))
    extra = list((collections.Counter(map(tuple, ours)) - collections.Counter(map(tuple, theirs))).elements())
    for row in left.elements():
        found = next((i for i, other in enumerate(extra) if match(other, row)), None)
        if found is None:
            return False
        extra.pop(found)
    return True


# What is different on purpose: (name, part of our error, part of DuckDB's error); None matches only no error. Reasons: EXPLAINED.md.
EXPLAINED_ERRORS = [
    ("refused", "not supported", None),
    ("refused", "not supported", ""),
    ("overflow", "overflow", None),
    ("overflow", "Overflow", None),
    ("overflow", "does not fit", None),
    ("types", "requires Integer, but received Decimal", None),
    ("overflow theirs", None, "Out of Range Error"),
    ("overflow theirs", None, "Conversion Error: Casting value"),
    ("cast theirs", None, "Conversion Error"),
    ("refused theirs", None, "Not implemented Error"),
    ("broken theirs", None, "INTERNAL Error"),
]
NEVER = ["please report", "panic", "CRASH", "internal error"]


def verdict(ours, theirs, ordered):
    """`same`, `explained: …`, or what is wrong."""
    error, their_error = ours.get("error"), theirs if isinstance(theirs, str) else None
    if error and STILL_AT_WORK in error and their_error and "INTERRUPT Error" in their_error:
        return "explained: slow both"
    if error and any(word in error for word in NEVER):
        return f"broken: {error[:300]}"
    if their_error and "INTERRUPT Error" in their_error:
        return "explained: slow theirs"
    if error and their_error:
        return "same" if "not supported" not in error else "explained: refused"
    for name, part, their_part in EXPLAINED_ERRORS:
        if (error is None) == (part is None) and (part is None or part in error) and (their_error is None) == (their_part is None) and (their_part is None or their_part in their_error):
            return f"explained: {name}"
    if error:
        return f"our error: {error[:300]}"
    if their_error:
        return f"their error: {their_error[:300]}"
    return "same" if same(ours["rows"], ours["types"], theirs, ordered) else "rows differ"


# ---- running
class Round:
    """One seed: its tables in both engines."""

    def __init__(self, path, seed, hostile=False):
        self.random = random.Random(seed)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="plasmon-random-"))
        self.path, self.seed = path, seed
        self.isa, self.statements, self.in_memory = settings(seed)
        self.tables = [random_data.table(self.random, f"r{i}") for i in range(4)]
        # Draws of their own, so that a seed asks the same queries of the same tables either way.
        self.hostile = random.Random(f"hostile {seed}") if hostile else None
        if hostile and self.hostile.random() < 0.3:
            random_data.enlarge(self.hostile, self.hostile.choice(self.tables))
        self.grammar = random_sql.Grammar(self.random, self.tables)
        self.duck = duckdb.connect(config={"threads": 1})
        self.worker = None
        self.load()

    def load(self, fresh_worker=True):
        if fresh_worker:
            if self.worker:
                self.worker.close()
            self.worker = Worker(self.path, self.isa)
            for statement in self.statements:
                self.worker.setup(statement)
        for statement in Hostility.NONE:
            self.worker.setup(statement)
        for table in self.tables:
            data = table.arrow()
            self.duck.register("incoming", data)
            self.duck.execute(f"CREATE OR REPLACE TABLE {table.name} AS SELECT * FROM incoming")
            self.duck.unregister("incoming")
            file = self.folder / f"{table.name}.parquet"
            table.write(file)
            if self.in_memory:
                self.worker.setup(f"CREATE OR REPLACE TABLE {table.name} AS SELECT * FROM '{file}'")
            else:
                self.worker.setup(f"CREATE OR REPLACE EXTERNAL TABLE {table.name} STORED AS PARQUET LOCATION '{file}'")

    def theirs(self, sql):
        try:
            return self.rows_in_time(sql)
        except duckdb.InternalException:
            return self.theirs_as_written(sql)
        except duckdb.Error as error:
            return str(error)

    def theirs_as_written(self, sql):
        """Their answer without their optimizer, where that fails."""
        self.duck.execute("PRAGMA disable_optimizer")
        try:
            return self.rows_in_time(sql)
        except duckdb.Error as error:
            return str(error)
        finally:
            self.duck.execute("PRAGMA enable_optimizer")

    def rows_in_time(self, sql):
        timer = threading.Timer(DUCK_SECONDS, self.duck.interrupt)
        timer.start()
        try:
            return self.duck.execute(sql).fetchall()
        finally:
            timer.cancel()

    def ours(self, sql, hostility):
        """Our answer; a worker that is lost is replaced."""
        self.worker.ask(sql, hostility)
        answer = self.worker.receive()
        if "CRASH" in answer.get("error", ""):
            self.load()
        return answer

    def without(self, hostility, query):
        """Of a query that was at work to the end of its time: whether it is only slow in batches of a few rows, with little memory; `None` when not."""
        self.load()
        plain = Hostility.NONE + [statement for statement in hostility.statements if "threads" in statement or "driver" in statement] + ["SET batch_rows = 4096"]
        self.worker.send(sql=query.render(OURS), set=plain)
        return "explained: slow under hostility" if self.judge(self.worker.receive(), query, None).startswith("same") else None

    def check(self, query, hostility):
        return self.judge(self.ours(query.render(OURS), hostility), query, hostility)

    def judge(self, ours, query, hostility):
        """The verdict on our answer; rows that differ are held against DuckDB's without its optimizer, too."""
        if hostility and hostility.explains(ours):
            return f"explained: {ours['kind']}"
        sql, ordered = query.render(DUCK), bool(query.order)
        what = verdict(ours, self.theirs(sql), ordered)
        if what == "rows differ" and verdict(ours, self.theirs_as_written(sql), ordered) == "same":
            return "explained: wrong theirs"
        return what

    def close(self):
        self.worker.close()
        self.duck.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def kind_of(verdict):
    """What shrinking must keep: `rows differ`, or the error's beginning without names and numbers."""
    return re.sub(r"[\w.]*\d[\w.]*|/\S*", "", verdict)[:50]


def shrink(round, query, hostility, wanted, seconds=20):
    """The smallest query and data that still fail alike."""
    end = time.time() + seconds

    def fails(candidate):
        try:
            return kind_of(round.check(candidate, hostility)) == kind_of(wanted)
        except Exception:
            return False

    def fails_loaded():
        try:
            round.load(fresh_worker=False)
        except Exception:
            return False
        return fails(query)

    query = smallest.smaller_query(query, lambda q: q.render(OURS), fails, end)
    for table in round.tables:
        if table.name in query.render(OURS):
            smallest.fewer_rows(table, fails_loaded, end)
    round.load(fresh_worker=False)
    return query


def report(round, query, hostility, original, what):
    sql, duck_sql = query.render(OURS), query.render(DUCK)
    print(f"\n==== seed {round.seed}: {what}\n  settings: {round.isa or 'native'}; {'; '.join(round.statements)}{'; tables in memory' if round.in_memory else ''}")
    if hostility:
        print(f"  and then: {hostility}")
    for table in round.tables:
        if table.name in sql:
            used = [i for i, c in enumerate(table.columns) if f".{c.name}" in sql] or [0]
            print(f"  {table.name}: " + ", ".join(f"{table.columns[i].name} {table.columns[i].arrow_type}" for i in used) + ("" if round.in_memory else f"   {table.storage}"))
            for row in table.rows[:12]:
                print("    ", [row[i] for i in used])
            if len(table.rows) > 12:
                print(f"     … {len(table.rows)} rows")
    print(f"  query: {sql}")
    if duck_sql != sql:
        print(f"  DuckDB's form: {duck_sql}")
    ours = round.ours(sql, hostility)
    print(f"  ours:   {ours.get('rows', ours.get('error'))!s:.600}\n  DuckDB: {round.theirs(duck_sql)!s:.600}\n  before shrinking: {original.render(OURS)}", flush=True)


def ask_again(round, waiting):
    for query, hostility in waiting:
        round.worker.ask(query.render(OURS), hostility)


def run_round(path, seed, count, counts, shrinking, hostile, shown=collections.Counter()):
    round = Round(path, seed, hostile)
    try:
        waiting = collections.deque()
        queries = (round.grammar.query(2, top=True) for _ in range(count))
        while True:
            while len(waiting) < AHEAD and (query := next(queries, None)) is not None:
                hostility = Hostility(round.hostile) if hostile else None
                round.worker.ask(query.render(OURS), hostility)
                waiting.append((query, hostility))
            if not waiting:
                break
            query, hostility = waiting.popleft()
            ours = round.worker.receive()
            what = round.judge(ours, query, hostility)
            if hostility and STILL_AT_WORK in what:
                what = round.without(hostility, query) or what
            if what == "same" and ours.get("spilled_bytes"):
                what = "same from disk"
            counts[what if what.startswith(("same", "explained")) else "UNEXPLAINED"] += 1
            if what.startswith(("same", "explained")):
                if "CRASH" in ours.get("error", ""):
                    print(f"seed {seed}: {what}: {hostility or ''} {query.render(OURS)}", flush=True)
                    round.load()
                    ask_again(round, waiting)
                continue
            shown[kind_of(what)] += 1
            # Answers of the statements that are under way belong to queries that are then asked again.
            original = query
            if "CRASH" in what:
                print("lost:", hostility or "", query.render(OURS))
                round.load()
            else:
                for _ in waiting:
                    round.worker.receive()
            if shrinking and shown[kind_of(what)] <= (10 if what == "rows differ" else 1):
                kept = [table.rows for table in round.tables]
                query = shrink(round, query, hostility, what)
                report(round, query, hostility, original, what)
                for table, rows in zip(round.tables, kept):
                    table.rows = rows
                round.load()
            else:
                print(f"\n==== seed {seed}: {what}\n  {hostility or ''}\n  {query.render(OURS)}", flush=True)
            ask_again(round, waiting)
    finally:
        round.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop after this long")
    parser.add_argument("--failures", type=int, default=20, help="stop after so many")
    parser.add_argument("--patience", type=float, default=TIMEOUT_SECONDS, help="seconds for one answer of ours; more on a busy machine [120]")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--hostile", action="store_true", help="each query meets little memory, a failing disk, or the like")
    arguments = parser.parse_args()
    Worker.patience = arguments.patience
    counts, seed, start = collections.Counter(), arguments.seed, time.time()
    while sum(counts.values()) < arguments.queries and time.time() - start < arguments.seconds and counts["UNEXPLAINED"] < arguments.failures:
        run_round(arguments.worker, seed, min(PER_ROUND, arguments.queries - sum(counts.values())), counts, not arguments.no_shrink, arguments.hostile)
        seed += 1
        asked = sum(counts.values())
        if sys.stderr.isatty():
            print(f"\r{asked} queries, {counts['UNEXPLAINED']} unexplained ", end="", file=sys.stderr)
        elif asked % 10_000 < PER_ROUND:
            print(f"{asked} queries in {time.time() - start:.0f} s, {counts['UNEXPLAINED']} unexplained", flush=True)
    print(f"{sum(counts.values())} queries, seeds {arguments.seed} to {seed - 1}, {time.time() - start:.0f} s: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    sys.exit(1 if counts["UNEXPLAINED"] else 0)


if __name__ == "__main__":
    main()
