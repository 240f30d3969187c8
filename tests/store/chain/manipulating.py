"""What an attacker does to a store whose files he can write; checksums beside the files are corrected."""

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import orjson

from logship.store import ids, needles
from logship.store.chain.keys import Keys
from logship.store.chain.record import CHAIN, NO_DIGEST, encode, sha256_of
from logship.store.files import Segment, read_listing
from logship.store.schema import as_stored, quoted
from logship.store.sums import Sum

NO_KEYS = Keys()


def segments(directory: Path) -> tuple[Segment, ...]:
    return read_listing(directory).segments


def rewrite(directory: Path, select: str = "SELECT * FROM ({})", at: int = 0) -> Segment:
    """Replace the rows of a segment by those of a SELECT of them, under the name that then fits. Return the new one."""
    old = segments(directory)[at]
    path, new = directory / old.name, directory / "forged"
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(
            f"COPY ({select.format(as_stored([path]))}) TO {quoted(new)} (FORMAT parquet, COMPRESSION zstd)"
        )
        times = 'count(*), epoch_ns(min("@timestamp")), epoch_ns(max("@timestamp"))'
        row = database.execute(f"SELECT {times} FROM read_parquet({quoted(new)})").fetchall()[0]
        held = ids.rebuild(database, as_stored([new]))
    segment = Segment(old.first, old.last, *row)
    (directory / old.ids_name).unlink()
    path.unlink()
    new.rename(directory / segment.name)
    ids.write(directory, segment, held, Sum.of(directory / segment.name))
    return segment


def edit_a_cell(directory: Path) -> None:
    rewrite(directory, "SELECT * REPLACE (CASE WHEN _n = 0 THEN 'nothing' ELSE message END AS message) FROM ({})")


def delete_rows(directory: Path) -> None:
    rewrite(directory, "SELECT * FROM ({}) WHERE _n <> 3")


def reorder_rows(directory: Path) -> None:
    rewrite(directory, "SELECT * FROM ({}) ORDER BY _n DESC")


def delete_a_segment(directory: Path) -> None:
    first = segments(directory)[0]
    (directory / first.name).unlink()
    (directory / first.ids_name).unlink()


def swap_segments(directory: Path) -> None:
    """Exchange the content of two segments of the same size."""
    one, other = (directory / found.name for found in segments(directory)[:2])
    shutil.copy(one, directory / "aside")
    shutil.copy(other, one)
    (directory / "aside").rename(other)


def edit_the_ids(directory: Path) -> None:
    """Let the delivery check believe that there are more events."""
    segment = segments(directory)[0]
    held = {
        life: ids.Held(one.rows + 5, ((1, one.rows + 5),)) for life, one in (ids.read(directory, segment) or {}).items()
    }
    ids.write(directory, segment, held, Sum.of(directory / segment.name))


def hide_an_id(directory: Path) -> None:
    """Empty the filters of a segment, so that a search by id does not read it."""
    segment = segments(directory)[0]
    found = ids.read_filters(directory, segment)
    assert found
    (piece, *_) = needles.pieces(found[0])
    emptied = found[0][: piece.at] + bytes(piece.size) + found[0][piece.at + piece.size :]
    ids.write(directory, segment, ids.read(directory, segment) or {}, Sum.of(directory / segment.name), emptied)


def chain_again(
    directory: Path, change: Callable[[list[dict[str, object]]], object] = lambda _: None, keys: Keys = NO_KEYS
) -> None:
    """Write the whole chain again, so that it fits the files as they are now."""
    lines = [orjson.loads(line) for line in (directory / CHAIN).read_bytes().splitlines()]
    there = {(one.first, one.last): one for one in segments(directory)}
    written = [_plain(line, directory, there) for line in lines]
    change(written)
    data, previous = b"", NO_DIGEST
    for number, record in enumerate(written):
        data += (line := encode({**record, "n": number}, previous, keys))
        previous = orjson.loads(line)["digest"]
    (directory / CHAIN).write_bytes(data)


def _plain(line: dict[str, object], directory: Path, there: dict[tuple[int, int], Segment]) -> dict[str, object]:
    fields = {name: value for name, value in line.items() if name not in {"previous", "digest", "mac"}}
    segment = line.get("segment")
    if isinstance(segment, dict):
        first, _, last = segment["name"].partition(".")[0].partition("-")
        if now := there.get((int(first), int(last))):
            digest = ids.digest(directory, now)
            fields["segment"] = {"name": now.name, "sha256": sha256_of(directory / now.name), "ids": digest}
    return fields


def cut_the_end(directory: Path) -> None:
    """Remove the newest segment and the records about it."""
    last = segments(directory)[-1]
    (directory / last.name).unlink()
    (directory / last.ids_name).unlink()
    lines = (directory / CHAIN).read_bytes().splitlines(keepends=True)
    (directory / CHAIN).write_bytes(b"".join(line for line in lines if last.name.encode() not in line))
