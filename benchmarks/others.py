"""Stores for comparison: SQLite with six indexes and FTS5, and one DuckDB file, with the same records.

Both get the normalised lines of the store's log, so their numbers do not include normalising."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import duckdb
import orjson
from events import BEGIN_NS, Entry
from questions import QUESTIONS, About, about

from logship.store.read.reader import Reader
from logship.store.schema import COLUMNS
from logship.store.write.store import Appended, Store

MEMORY_LIMIT_BYTES = 512 * 2**20
INDEXED = ("@timestamp", "http.request.id", "trace.id", "http.response.status_code", "logship.worker.slot", "url.path")
TEXT = ("message", "error.message", "error.stack_trace")
SETTLE_SECONDS = 600


class Sink(Protocol):
    def append(self, entries: list[Entry]) -> object: ...
    def settle(self) -> None: ...
    def close(self) -> None: ...


class Ours(Store):
    def settle(self) -> None:
        """Return when nothing is left to seal or merge."""
        import time

        from logship.store.files import read_listing
        from logship.store.write.merging import mergeable

        self.seal(SETTLE_SECONDS)
        while mergeable(read_listing(self.directory).segments):
            time.sleep(0.05)


def line(time_ns: int, record: dict[str, Any]) -> dict[str, Any]:
    flat = {"@timestamp": time_ns, **record}
    for name in ("labels", "numeric_labels", "event.category", "event.type"):
        if name in flat:
            flat[name] = orjson.dumps(flat[name]).decode()
    return flat


class Sqlite:
    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.database = sqlite3.connect(directory / "logs.sqlite")
        self.names = [name for name in COLUMNS if name != "_n"]
        columns = ", ".join(f'"{name}"' for name in self.names)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            f"CREATE TABLE IF NOT EXISTS logs (n INTEGER PRIMARY KEY, {columns})",
            'CREATE UNIQUE INDEX IF NOT EXISTS by_event ON logs ("event.id")',
            *(f'CREATE INDEX IF NOT EXISTS by_{at} ON logs ("{name}")' for at, name in enumerate(INDEXED)),
            f"CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 ({', '.join(f'{n}' for n in ('a', 'b', 'c'))}, content='')",
        ):
            self.database.execute(statement)
        self.insert = f"INSERT OR IGNORE INTO logs (n, {columns}) VALUES ({', '.join('?' * (len(self.names) + 1))})"
        self.rows = self.database.execute("SELECT coalesce(max(n), 0) FROM logs").fetchone()[0]

    def append(self, entries: list[Entry]) -> object:
        flat = [line(time_ns, record) for time_ns, record in entries]
        first, self.rows = self.rows + 1, self.rows + len(flat)
        with self.database:
            rows = ((n, *map(one.get, self.names)) for n, one in enumerate(flat, first))
            self.database.executemany(self.insert, rows)
            texts = ((n, *map(one.get, TEXT)) for n, one in enumerate(flat, first))
            self.database.executemany("INSERT INTO words (rowid, a, b, c) VALUES (?, ?, ?, ?)", texts)
        return Appended(len(flat))

    def settle(self) -> None:
        self.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self.database.close()


class DuckFile:
    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.batch = directory / "batch.ndjson"
        self.database = duckdb.connect(str(directory / "logs.duckdb"), config={"memory_limit": "512MB", "threads": 2})
        self.types = {name: kind for name, kind in COLUMNS.items() if name != "_n"} | {"@timestamp": "BIGINT"}
        columns = ", ".join(f'"{name}" {kind}' for name, kind in self.types.items())
        self.database.execute(f"CREATE TABLE IF NOT EXISTS logs ({columns})")

    def append(self, entries: list[Entry]) -> object:
        self.batch.write_bytes(b"".join(orjson.dumps({"@timestamp": at, **one}) + b"\n" for at, one in entries))
        columns = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in self.types.items()) + "}"
        self.database.execute(
            f"INSERT INTO logs SELECT * FROM read_json('{self.batch}', format='newline_delimited', columns={columns})"
        )
        return Appended(len(entries))

    def settle(self) -> None:
        self.database.execute("CHECKPOINT")

    def close(self) -> None:
        self.batch.unlink(missing_ok=True)
        self.database.close()


def size_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir() if path.suffix != ".tmp")


D, S, NODE = '"event.duration"', '"http.response.status_code"', '"service.node.name"'
MINUTE = '"@timestamp" / 60000000000' # integers in SQLite; DuckDB has // for that
SQL: dict[str, str] = {
    "01": "SELECT * FROM logs WHERE \"http.request.id\" = '{id}' OR \"trace.id\" = '{id}' OR \"event.id\" = '{id}'",
    "03": f"SELECT {{minute}}, {NODE}, quantile_cont({D}, [0.5, 0.95, 0.99]) FROM logs WHERE {D} IS NOT NULL GROUP BY 1, 2",
    "04": f'SELECT "http.route", quantile_cont({D}, [0.5, 0.95, 0.99]) FROM logs WHERE {D} IS NOT NULL GROUP BY 1',
    "05": f'SELECT * FROM logs WHERE {S} >= 500 AND "logship.worker.slot" = 3 AND "@timestamp" >= {{begin}} '
    'AND "@timestamp" < {begin} + 300000000000 ORDER BY "@timestamp" DESC LIMIT 500',
    "06": 'SELECT * FROM logs WHERE "url.path" LIKE \'/api/v1/orders/1%7\' ORDER BY "@timestamp" DESC LIMIT 50',
    "07": f"SELECT {{minute}}, {S}, count(*) FROM logs GROUP BY 1, 2",
    "08": 'SELECT "client.ip", count(*) FROM logs WHERE "client.ip" IS NOT NULL GROUP BY 1',
    "10": f"SELECT {NODE}, count({D}), sum({D}) FROM logs WHERE {D} IS NOT NULL GROUP BY 1",
    "11": f"SELECT * FROM logs WHERE {D} IS NOT NULL ORDER BY {D} DESC LIMIT 100",
    "13": f'SELECT {{ten}}, {S}, count(*) FROM logs WHERE "@timestamp" >= {{newest}} - 900000000000 GROUP BY 1, 2',
}  # fmt: skip
SQLITE = SQL | {
    "02": "SELECT * FROM logs WHERE n IN (SELECT rowid FROM words WHERE words MATCH '{{a c}} : TimeoutError') "
    'ORDER BY "@timestamp" DESC LIMIT 100',
    "03": f"SELECT {{minute}}, {NODE}, count(*), avg({D}) FROM logs WHERE {D} IS NOT NULL GROUP BY 1, 2",
    "04": f'SELECT "http.route", count(*), avg({D}) FROM logs WHERE {D} IS NOT NULL GROUP BY 1',
    "09": f"SELECT * FROM logs WHERE {S} >= 400 AND labels LIKE '%\"tenant\":\"tenant-003\"%' "
    'ORDER BY "@timestamp" DESC LIMIT 100',
    "12": 'SELECT * FROM logs WHERE labels LIKE \'%"flag_7":%\' ORDER BY "@timestamp" DESC LIMIT 50',
    "14": 'SELECT * FROM logs WHERE message LIKE \'%4567%\' ORDER BY "@timestamp" DESC LIMIT 100',
}
DUCK = SQL | {
    "02": "SELECT * FROM logs WHERE contains(message, 'TimeoutError') OR contains(\"error.stack_trace\", 'TimeoutError') "
    'ORDER BY "@timestamp" DESC LIMIT 100',
    "09": f"SELECT * FROM logs WHERE {S} >= 400 AND labels['tenant'] = 'tenant-003' "
    'ORDER BY "@timestamp" DESC LIMIT 100',
    "12": "SELECT * FROM logs WHERE map_contains(labels, 'flag_7') ORDER BY \"@timestamp\" DESC LIMIT 50",
    "14": "SELECT * FROM logs WHERE contains(message, '4567') ORDER BY \"@timestamp\" DESC LIMIT 100",
}


class Asked:
    """A source with the values that its queries use."""

    def __init__(self, directory: Path) -> None:
        self.reader = Reader(directory)
        self.known: About = about(self.reader)


class Other:
    """A connection, with the same values as the queries of logship's store."""

    def __init__(self, connection: Any, directory: Path, statements: dict[str, str], divide: str) -> None:
        self.connection, self.statements = connection, statements
        known = Asked(directory.parent / "logship").known
        self.words = {
            "id": known.request_id, "newest": known.newest_ns, "minute": f'"@timestamp" {divide} 60000000000',
            "ten": f'"@timestamp" {divide} 10000000000', "begin": begin_of(known),
        }  # fmt: skip

    def ask(self, number: str) -> int | None:
        return len(self.connection.execute(self.statements[number].format(**self.words)).fetchall())


def begin_of(known: About) -> int:
    return BEGIN_NS + int((known.newest_ns - BEGIN_NS) * 0.6)


def duck(directory: Path) -> Other:
    config = {"memory_limit": "512MB", "threads": 2}
    return Other(duckdb.connect(str(directory / "logs.duckdb"), config=config), directory, DUCK, "//")


OPEN: dict[str, Callable[[Path], Any]] = {"logship": Ours, "duckdb file": DuckFile, "sqlite": Sqlite}
READ: dict[str, Callable[[Path], Any]] = {
    "logship": Asked,
    "duckdb file": duck,
    "sqlite": lambda directory: Other(sqlite3.connect(directory / "logs.sqlite"), directory, SQLITE, "/"),
}
ASK: dict[str, Callable[[Any, str], int | None]] = {
    "logship": lambda source, number: QUESTIONS[number].ask(source.reader, source.known),
    "duckdb file": lambda source, number: source.ask(number),
    "sqlite": lambda source, number: source.ask(number),
}
