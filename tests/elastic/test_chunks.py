"""What Fluent Bit leaves behind, read: chunks of the real one, given up and left over, and damaged ones."""

import struct
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.elastic import chunks
from logship.elastic.chunks import Chunk
from logship.errors import QuestionError
from logship.event.entry import TAG, pack
from tests.pipelines import agent
from tests.pipelines.agent import CONFIG, Agent
from tests.proofs.scene import free_port, until
from tests.proofs.sender import Sender

EVENTS = 300


def made(content: bytes, length: int | None = None, tag: str = TAG) -> bytes:
    """A chunk file as Fluent Bit writes them, whose head may say another length."""
    metadata = chunks.TAG_MARK + tag.encode()
    said = struct.pack(">I", len(content) if length is None else length)
    return chunks.MAGIC + bytes(8) + said + bytes(8) + struct.pack(">H", len(metadata)) + metadata + content


def entries(count: int) -> list[bytes]:
    return [
        pack(1_795_262_331_104_177_493 + number, {"event.id": f"a-{number}", "n": number}) for number in range(count)
    ]


def written(folder: Path, data: bytes) -> Chunk:
    (folder / "x.flb").write_bytes(data)
    return chunks.read(folder / "x.flb")


@pytest.fixture
def unreachable() -> dict[str, str]:
    """The variables that choose an Elasticsearch which is not there."""
    return {"FLB_TO_ELASTICSEARCH": TAG, "ES_PORT": str(free_port()), "ES_USER": ""}


def send(fluent_bit: Agent) -> None:
    with Sender(fluent_bit.port) as sender:
        assert sender.send(TAG, entries(EVENTS)) == sender.acknowledged()


@agent.needed
def test_what_a_killed_one_left_over_is_read(tmp_path: Path, unreachable: dict[str, str]) -> None:
    with Agent(tmp_path, unreachable) as fluent_bit:
        fluent_bit.wait_ready()
        send(fluent_bit)
    found = [chunks.read(path) for path in chunks.find(tmp_path / "storage")]
    assert [(chunk.tag, chunk.rejected, chunk.damaged_bytes, chunk.bad_records) for chunk in found] == [
        (TAG, False, 0, 0)
    ]
    assert [record["n"] for record in found[0].records] == list(range(EVENTS))
    assert found[0].records[0]["@timestamp"] == "2026-11-21T11:58:51.104177493Z"


@agent.needed
def test_what_was_given_up_is_read_with_the_output_that_gave_up(tmp_path: Path, unreachable: dict[str, str]) -> None:
    impatient = tmp_path / "impatient.yaml"
    impatient.write_text(CONFIG.read_text().replace("retry_limit: 3000", "retry_limit: 1"))
    with Agent(tmp_path, unreachable, impatient) as fluent_bit:
        fluent_bit.wait_ready()
        send(fluent_bit)
        until(lambda: list((tmp_path / "storage/rejected").glob("*.flb")), fluent_bit.said)
        time.sleep(0.5)
    (rejected,) = [chunk for chunk in map(chunks.read, chunks.find(tmp_path / "storage")) if chunk.rejected]
    assert (rejected.tag, rejected.output) == (TAG, "elasticsearch")
    assert [record["n"] for record in rejected.records] == list(range(EVENTS))


@given(cut=st.integers(0, 400), zeros=st.integers(0, 5000))
def test_a_torn_or_padded_end_costs_only_what_is_torn(
    tmp_path_factory: pytest.TempPathFactory, cut: int, zeros: int
) -> None:
    parts = entries(20)
    whole = b"".join(parts)
    kept = whole[: max(len(whole) - cut, 0)]
    chunk = written(tmp_path_factory.mktemp("chunk"), made(kept + bytes(zeros), len(kept)))
    ends = [sum(map(len, parts[: number + 1])) for number in range(len(parts))]
    complete = sum(end <= len(kept) for end in ends)
    if kept:
        assert [record["n"] for record in chunk.records] == list(range(complete))
        assert chunk.damaged_bytes == len(kept) - ([0, *ends][complete])


def test_a_head_without_a_length_is_read_up_to_the_zeros(tmp_path: Path) -> None:
    chunk = written(tmp_path, made(b"".join(entries(20)) + bytes(500), 0))
    assert ([record["n"] for record in chunk.records], chunk.damaged_bytes) == (list(range(20)), 0)


def test_an_entry_that_is_none_is_counted_and_the_next_one_read(tmp_path: Path) -> None:
    first, second = entries(2)
    chunk = written(tmp_path, made(first + b"\x93\x01\x02\x03" + second))
    assert ([record["n"] for record in chunk.records], chunk.bad_records) == ([0, 1], 1)


def test_what_is_no_chunk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match="is not a chunk of Fluent Bit"):
        written(tmp_path, b"hello")
    with pytest.raises(QuestionError, match=r"name the storage.path of Fluent Bit"):
        chunks.find(tmp_path / "nowhere")


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    chunk = written(tmp_path_factory.mktemp("chunk"), made(content))
    assert chunk.damaged_bytes <= len(content)
