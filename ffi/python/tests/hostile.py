"""A caller of the driver's C functions that does everything wrong: nulls, calls out of order, structs that were released or copied, invented handles,
malformed Arrow structs, several threads. Prints how many calls it made; a crash or a hang is the failure.

    python hostile.py CALLS SEED
"""
import ctypes
import itertools
import os
import random
import sys
import threading

import plasmon
import pyarrow as pa

P = ctypes.c_void_p
#: Functions of `struct AdbcDriver` in its order, with what each takes besides the error: structs by their letter, texts, outs.
FUNCTIONS = """
DatabaseInit d|DatabaseNew d|DatabaseSetOption d t t|DatabaseRelease d|ConnectionCommit c|ConnectionGetInfo c n z s
ConnectionGetObjects c i t t t n t s|ConnectionGetTableSchema c t t t h|ConnectionGetTableTypes c s|ConnectionInit c d|ConnectionNew c
ConnectionSetOption c t t|ConnectionReadPartition c b z s|ConnectionRelease c|ConnectionRollback c|StatementBind x a h
StatementBindStream x s|StatementExecuteQuery x s o|StatementExecutePartitions x h o o|StatementGetParameterSchema x h|StatementNew c x
StatementPrepare x|StatementRelease x|StatementSetOption x t t|StatementSetSqlQuery x t|StatementSetSubstraitPlan x b z
""".replace("\n", "|")
NEWER = """
DatabaseGetOption d t r l|DatabaseGetOptionBytes d t r l|DatabaseGetOptionDouble d t o|DatabaseGetOptionInt d t o
DatabaseSetOptionBytes d t b z|DatabaseSetOptionDouble d t f|DatabaseSetOptionInt d t i64|ConnectionCancel c|ConnectionGetOption c t r l
ConnectionGetOptionBytes c t r l|ConnectionGetOptionDouble c t o|ConnectionGetOptionInt c t o|ConnectionGetStatistics c t t t i8 s
ConnectionGetStatisticNames c s|ConnectionSetOptionBytes c t b z|ConnectionSetOptionDouble c t f|ConnectionSetOptionInt c t i64
StatementCancel x|StatementExecuteSchema x h|StatementGetOption x t r l|StatementGetOptionBytes x t r l|StatementGetOptionDouble x t o
StatementGetOptionInt x t o|StatementSetOptionBytes x t b z|StatementSetOptionDouble x t f|StatementSetOptionInt x t i64
""".replace("\n", "|")


def parsed(text):
    return [(words[0], words[1:]) for words in (entry.split() for entry in text.split("|")) if words]


OLD, NEW = parsed(FUNCTIONS), parsed(NEWER)
#: Words before the functions: private_data, private_manager, release; then those of 1.0, three about errors, those of 1.1.
SLOTS = 3 + len(OLD) + 3 + len(NEW)
PRIVATE_DATA = -(2**31)


class Error(ctypes.Structure):
    _fields_ = [("message", ctypes.c_char_p), ("vendor_code", ctypes.c_int32), ("sqlstate", ctypes.c_char * 5), ("release", P), ("private_data", P), ("private_driver", P)]


class Holder(ctypes.Structure):
    """AdbcDatabase, AdbcConnection and AdbcStatement."""

    _fields_ = [("private_data", P), ("private_driver", P)]


class Stream(ctypes.Structure):
    _fields_ = [("get_schema", P), ("get_next", P), ("get_last_error", P), ("release", P), ("private_data", P)]


class Schema(ctypes.Structure):
    _fields_ = [("words", ctypes.c_uint64 * 9)]


class Array(ctypes.Structure):
    _fields_ = [("words", ctypes.c_uint64 * 10)]


TEXTS = [
    b"", b"t", b"uri", b"path", b"/nowhere", b"plasmon.threads", b"1", b"many", b"adbc.connection.autocommit", b"true", b"false",
    b"adbc.ingest.target_table", b"adbc.ingest.mode", b"adbc.ingest.mode.replace", b"adbc.ingest.temporary", b"plasmon.session",
    b"adbc.statement.bind_by_name", b"adbc.statement.exec.progress", b"\xff\xfe", b"%", b"main", b"plasmon", b"SELECT 1", b"SELECT $1 AS a",
    b"SELECT * FROM generate_series(1, 20000)", b"CREATE OR REPLACE TABLE t AS SELECT 1 AS a", b"INSERT INTO t VALUES ($1)", b"SELECT",
    b"SELECT ?; SELECT ?", b"SELECT 1 / (value - 5) FROM generate_series(1, 9)", b"plasmon.deadline_milliseconds", b"EXPLAIN SELECT 1",
]


class Caller:
    """One thread's structs and calls; `shared` are structs that all threads use."""

    def __init__(self, functions, shared, seed):
        self.functions, self.random = functions, random.Random(seed)
        self.shared = shared
        self.own = {kind: [Holder() for _ in range(3)] for kind in "dcx"}
        self.made = 0
        self.kept = []

    def holder(self, kind):
        choice = self.random.random()
        if choice < 0.05:
            return None
        if choice < 0.10:
            return Holder(self.random.choice([1, 2**64 - 1, self.random.getrandbits(64), (41 << 56) + 1, (1 << 56) + 1]))
        if choice < 0.20:
            # A copy of a struct, perhaps of one that was released, perhaps of another kind.
            copied = self.random.choice(self.own[self.random.choice("dcx")])
            return Holder(copied.private_data)
        if choice < 0.35:
            return self.shared[kind]
        return self.random.choice(self.own[kind])

    def batch(self):
        return pa.record_batch({"a": pa.array([1, 2, None], pa.int64())})

    def argument(self, kind):
        """A value and what keeps it alive."""
        chance = self.random.random
        if kind in "dcx":
            struct = self.holder(kind)
            return None if struct is None else ctypes.byref(struct), struct
        if kind == "t":
            text = self.random.choice(TEXTS) if chance() > 0.08 else None
            return text, text
        if kind == "b":
            return (b"bytes of something" if chance() > 0.2 else None), None
        if kind == "z":
            return self.random.choice([0, 1, 5]), None
        if kind in ("i", "i8"):
            return self.random.choice([0, 1, 2, 3]) if chance() > 0.1 else -77, None
        if kind == "i64":
            return self.random.choice([0, 1, -1, 2**63 - 1]), None
        if kind == "f":
            return self.random.choice([0.0, 1.5, float("nan")]), None
        if kind == "n" or chance() < 0.05:
            return None, None
        if kind == "l":
            room = ctypes.c_size_t(self.random.choice([0, 1, 64]))
            return ctypes.byref(room), room
        if kind in "or":
            room = ctypes.create_string_buffer(64)
            return room, room
        if kind == "s":
            stream = Stream()
            return ctypes.byref(stream), stream
        room = Schema() if kind == "h" else Array()
        return ctypes.byref(room), room

    def incoming(self, name, held):
        """Fills in the Arrow structs that a call takes over; some are malformed."""
        batch, spoil = self.batch(), self.random.random()
        if name == "StatementBind":
            _, values, schema = held
            if schema is not None and values is not None:
                batch._export_to_c(ctypes.addressof(values), ctypes.addressof(schema))
                if spoil < 0.3:
                    # Length, nulls, offset, buffers; pyarrow's own release goes by the number of children.
                    values.words[self.random.randrange(4)] = self.random.choice([0, 2, 2**63, 2**64 - 1])
        elif held[1] is not None and spoil > 0.2:
            batch_reader = pa.RecordBatchReader.from_batches(batch.schema, [batch] * 3)
            batch_reader._export_to_c(ctypes.addressof(held[1]))
            if spoil < 0.3:
                held[1].get_next = None

    def call(self):
        name, kinds, function = self.random.choice(self.functions)
        made = [self.argument(kind) for kind in kinds]
        held = [keep for _, keep in made]
        if name in ("StatementBind", "StatementBindStream"):
            self.incoming(name, held)
        error = Error(vendor_code=self.random.choice([PRIVATE_DATA, 0]))
        has_error = self.random.random() > 0.1
        status = function(*(value for value, _ in made), ctypes.byref(error) if has_error else None)
        assert 0 <= status <= 14, (name, status)
        if status != 0 and has_error:
            assert error.message, name
            ctypes.CFUNCTYPE(None, P)(error.release)(ctypes.addressof(error))
            assert not error.release and not error.message
        if status == 0 and kinds[-1] in "so" and name not in ("StatementBindStream",):
            self.read(next((k for k in held if isinstance(k, Stream)), None))
        self.release_outs(held)
        self.made += 1

    def read(self, stream):
        if stream is None or not stream.release or self.random.random() < 0.3:
            return
        if self.random.random() < 0.1:
            self.kept.append(stream)  # read later, by whoever comes
            return
        try:
            reader = pa.RecordBatchReader._import_from_c(ctypes.addressof(stream))
            for _ in range(3):
                reader.read_next_batch()
        except (StopIteration, pa.ArrowException, OSError):
            pass

    def release_outs(self, held):
        for struct in held:
            release = {Stream: lambda s: s.release, Schema: lambda s: s.words[7], Array: lambda s: s.words[8]}.get(type(struct))
            if release and release(struct) and struct not in self.kept:
                ctypes.CFUNCTYPE(None, P)(release(struct))(ctypes.addressof(struct))


def driver_functions():
    library = ctypes.CDLL(str(plasmon.driver_path()))
    slots = (P * SLOTS)()
    assert library.AdbcDriverInit(1_001_000, ctypes.byref(slots), None) == 0
    assert library.AdbcDriverInit(7, ctypes.byref(slots), None) == 2
    assert library.AdbcDriverInit(1_001_000, None, None) == 5
    # A caller of 1.0 has no room for more than its own functions.
    small = (P * (SLOTS + 1))()
    assert library.AdbcDriverInit(1_000_000, ctypes.byref(small), None) == 0
    assert all(small[: 3 + len(OLD)][2:]) and not any(small[3 + len(OLD) :])
    types = {"z": ctypes.c_size_t, "i": ctypes.c_int, "i8": ctypes.c_int8, "i64": ctypes.c_int64, "f": ctypes.c_double, "t": ctypes.c_char_p, "b": ctypes.c_char_p}
    functions = []
    for index, (name, kinds) in [*enumerate(OLD, 3), *enumerate(NEW, 3 + len(OLD) + 3)]:
        prototype = ctypes.CFUNCTYPE(ctypes.c_uint8, *(types.get(kind, P) for kind in kinds), P)
        functions.append((name, kinds, prototype(slots[index])))
    return functions


def any_order(named):
    """A stream outlives its statement, connection and database, released in every order; each may be released once."""
    for order in itertools.permutations("dcx"):
        held = {kind: Holder() for kind in "dcx"}
        database, connection, statement = (ctypes.byref(held[kind]) for kind in "dcx")
        open_all(named, database, connection, statement)
        stream = Stream()
        assert named["StatementSetSqlQuery"](statement, b"SELECT value FROM generate_series(1, 50000)", None) == 0
        assert named["StatementExecuteQuery"](statement, ctypes.byref(stream), None, None) == 0
        for kind in order:
            release = named[{"d": "DatabaseRelease", "c": "ConnectionRelease", "x": "StatementRelease"}[kind]]
            copied = Holder(held[kind].private_data)
            assert release(ctypes.byref(held[kind]), None) == 0
            assert not held[kind].private_data
            # Twice: 6 is ADBC_STATUS_INVALID_STATE.
            assert release(ctypes.byref(held[kind]), None) == 6
            assert release(ctypes.byref(copied), None) == 6
        assert pa.RecordBatchReader._import_from_c(ctypes.addressof(stream)).read_all().num_rows == 50_000


def open_all(named, database, connection, statement):
    """Makes a database, a connection to it and a statement of that."""
    assert named["StatementNew"](connection, statement, None) == 6
    for step in [("DatabaseNew", database), ("DatabaseInit", database), ("ConnectionNew", connection), ("ConnectionInit", connection, database), ("StatementNew", connection, statement)]:
        assert named[step[0]](*step[1:], None) == 0, step


def main():
    calls, seed = int(sys.argv[1]), int(sys.argv[2])
    functions = driver_functions()
    # Structs that are good, and stay in use by all threads.
    named = {name: function for name, _, function in functions}
    shared = {kind: Holder() for kind in "dcx"}
    open_all(named, *(ctypes.byref(shared[kind]) for kind in "dcx"))
    any_order(named)
    callers = [Caller(functions, shared, seed * 1000 + number) for number in range(3)]

    # A thread that fails ends all.
    threading.excepthook = lambda failed: (sys.__excepthook__(*failed[:3]), os._exit(1))

    def work(caller):
        for _ in range(calls // 3):
            caller.call()

    threads = [threading.Thread(target=work, args=[caller]) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for caller in callers:
        for stream in caller.kept:
            ctypes.CFUNCTYPE(None, P)(stream.release)(ctypes.addressof(stream))
    print(sum(caller.made for caller in callers), "calls")


main()
