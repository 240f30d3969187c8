"""What is acknowledged is stored, in order, once; nobody's trouble is another's."""

import gc
import gzip
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest
import zstandard

from logship.collector import connection, serve
from logship.errors import ListenError
from tests.collector.far_end import Running, Sender, event, frame, new_chunk

Start = Callable[..., Running]


def test_an_event_is_stored_before_it_is_acknowledged(running: Running, sender: Sender) -> None:
    chunk = sender.packed(event(1))
    assert sender.acknowledged() == chunk
    assert running.messages() == ["event 1"]


def test_circles_are_looked_for_seldom_while_it_runs(start: Start) -> None:
    before = gc.get_threshold()
    running = start()
    assert gc.get_threshold() == (serve.GC_THRESHOLD, *before[1:])
    running.stop()
    assert gc.get_threshold() == before


def test_pipelined_frames_are_acknowledged_in_their_order(running: Running, sender: Sender) -> None:
    chunks = [new_chunk() for _ in range(50)]
    sender.send(b"".join(frame(event(number + 1), chunk=chunk) for number, chunk in enumerate(chunks)))
    assert [sender.acknowledged() for _ in chunks] == chunks
    assert running.health()["commits_total"] < 50


def test_a_repeated_event_is_acknowledged_and_stored_once(running: Running, sender: Sender) -> None:
    for chunk in (sender.packed(event(1), event(2)), sender.packed(event(2), event(3))):
        assert sender.acknowledged() == chunk
    assert running.messages() == ["event 1", "event 2", "event 3"]
    assert running.health()["duplicates_total"] == 1


@pytest.mark.parametrize("cut", [1, 7, 100])
def test_a_frame_may_arrive_in_pieces(running: Running, sender: Sender, cut: int) -> None:
    data = frame(event(1, text="x" * 300), chunk="c")
    for start in range(0, len(data), cut):
        sender.send(data[start : start + cut])
    assert sender.acknowledged() == "c"


def test_every_mode_of_the_protocol_is_understood(running: Running, sender: Sender) -> None:
    entry = msgpack.packb([1763650000, {"message": "packed"}])
    for number, message in enumerate(
        (
            ["a", 1763650000, {"message": "message"}, {"chunk": "0"}],
            ["a", [[1763650000, {"message": "forward"}]], {"chunk": "1"}],
            ["a", entry, {"chunk": "2"}],
            ["a", gzip.compress(entry), {"chunk": "3", "compressed": "gzip"}],
            ["a", zstandard.ZstdCompressor().compress(entry), {"chunk": "4", "compressed": "zstd"}],
        )
    ):
        sender.send(msgpack.packb(message))
        assert sender.acknowledged() == str(number)
    assert running.messages() == ["message", "forward", "packed", "packed", "packed"]


def test_foreign_records_keep_their_tag_as_the_dataset(running: Running, sender: Sender) -> None:
    sender.send(frame({"message": "theirs"}, chunk="c", tag="shop.orders"))
    assert sender.acknowledged() == "c"
    assert running.records()[0]["event.dataset"] == "shop.orders"


def test_a_sender_that_closes_its_half_still_gets_its_acknowledgement(running: Running, sender: Sender) -> None:
    chunk = sender.packed(event(1))
    sender.hang_up_half()
    assert sender.acknowledged() == chunk
    assert sender.acknowledged() is None


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", b"\xc1", b"\x93\xa1a\xa1b\xa1c", msgpack.packb(["a", b"\xc1\xc1", {"chunk": "c"}])],
)
def test_garbage_closes_its_own_connection_alone(
    running: Running, sender: Sender, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        bad = running.connect()
        bad.send(garbage)
        assert bad.answer() is None
    chunk = sender.packed(event(1))
    assert sender.acknowledged() == chunk
    assert running.health()["bad_peers_total"] == 3
    named = [record for record in caplog.records if "127.0.0.1" in record.getMessage()]
    assert len(named) == 1


def test_good_frames_before_garbage_are_stored_and_acknowledged(running: Running) -> None:
    bad = running.connect()
    bad.send(frame(event(1), chunk="good") + b"\xc1\xc1\xc1")
    assert bad.acknowledged() == "good"
    assert bad.acknowledged() is None
    assert running.messages() == ["event 1"]


def test_a_half_frame_is_given_up_in_time_but_silence_is_not(
    running: Running, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "FRAME_SECONDS", 0.2)
    slow = running.connect()
    slow.send(frame(event(1), chunk="never")[:-3])
    assert slow.answer() is None
    assert running.health()["slow_peers_total"] == 1
    chunk = sender.packed(event(2))
    assert sender.acknowledged() == chunk


def test_half_frames_of_many_peers_together_are_bounded(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "HALF_FRAME_BYTES", 3_000_000)
    peers = [running.connect() for _ in range(5)]
    head = frame(event(1, text="x" * 2_000_000), chunk="c")[:1_000_000]
    for peer in peers:
        peer.send(head)
    running.when(lambda: running.health()["bad_peers_total"] >= 2)
    assert running.health()["half_frame_bytes"] <= 3_000_000
    chunk = (good := running.connect()).packed(event(2))
    assert good.acknowledged() == chunk


def test_reading_stops_while_the_store_is_behind_and_goes_on_after(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start(collector_memory_bytes=200_000)
    gate, append = threading.Event(), running.store.append
    running.collector._committer._append = lambda entries: (gate.wait(20), append(entries))[1]
    sender = running.connect()
    frames = [frame(event(number, text="x" * 50_000), chunk=str(number)) for number in range(1, 101)]
    writing = threading.Thread(target=sender.send, args=(b"".join(frames),))
    writing.start()
    running.when(lambda: running.health()["pending_bytes"] >= 200_000)
    assert running.health()["acknowledged_total"] == 0
    assert running.health()["frames_total"] < 100
    gate.set()
    assert [sender.acknowledged() for _ in frames] == [str(number) for number in range(1, 101)]
    writing.join()
    running.when(lambda: running.health()["pending_bytes"] == 0)


def test_a_small_frame_that_inflates_counts_with_its_size(running: Running, sender: Sender) -> None:
    gate, append = threading.Event(), running.store.append
    running.collector._committer._append = lambda entries: (gate.wait(20), append(entries))[1]
    entries = gzip.compress(msgpack.packb([1763650000, {"message": "x" * 1_000_000}]))
    sender.send(msgpack.packb(["a", entries, {"chunk": "c", "compressed": "gzip"}]))
    running.when(lambda: running.health()["pending_bytes"] > 1_000_000)
    gate.set()
    assert sender.acknowledged() == "c"


def bomb(number: int) -> bytes:
    """A frame of some 100 bytes that becomes 2,000 records."""
    stamp = msgpack.packb(1763650000)
    entries = b"".join(b"\x92" + stamp + msgpack.packb({"a": "x"}) for _ in range(2000))
    packed: bytes = msgpack.packb(["a", gzip.compress(entries), {"chunk": str(number), "compressed": "gzip"}])
    return packed


def test_frames_that_arrive_together_are_decoded_one_after_another_when_there_is_no_room(start: Start) -> None:
    running = start(collector_memory_bytes=200_000)
    gate, append = threading.Event(), running.store.append
    running.collector._committer._append = lambda entries: (gate.wait(20), append(entries))[1]
    senders = [running.connect() for _ in range(8)]
    for number, sender in enumerate(senders):
        sender.send(bomb(number)[:-1])
    running.when(lambda: running.health()["half_frame_bytes"] == sum(len(bomb(number)) - 1 for number in range(8)))
    for number, sender in enumerate(senders):
        sender.send(bomb(number)[-1:])
    running.when(lambda: running.health()["pending_bytes"] > 0)
    running.when(lambda: running.health()["received_bytes_total"] == sum(len(bomb(number)) for number in range(8)))
    assert running.health()["frames_total"] == 1
    gate.set()
    assert [sender.acknowledged() for sender in senders] == [str(number) for number in range(8)]


def test_many_frames_in_one_piece_are_decoded_one_after_another_when_there_is_no_room(start: Start) -> None:
    running = start(collector_memory_bytes=200_000)
    gate, append = threading.Event(), running.store.append
    running.collector._committer._append = lambda entries: (gate.wait(20), append(entries))[1]
    sender = running.connect()
    sender.send(b"".join(map(bomb, range(30))))
    running.when(lambda: running.health()["pending_bytes"] > 0)
    assert running.health()["frames_total"] == 1
    gate.set()
    assert [sender.acknowledged() for _ in range(30)] == [str(number) for number in range(30)]


def test_a_clean_stop_does_not_wait_for_frames_that_found_no_room(start: Start) -> None:
    running = start(collector_memory_bytes=200_000)
    gate, append = threading.Event(), running.store.append
    running.collector._committer._append = lambda entries: (gate.wait(20), append(entries))[1]
    sender = running.connect()
    sender.send(bomb(0) + bomb(1))
    running.when(lambda: running.health()["pending_bytes"] > 0)
    threading.Timer(0.5, gate.set).start()
    running.stop()
    assert sender.acknowledged() == "0"
    assert sender.acknowledged() is None


def test_a_store_directory_that_is_removed_stops_acknowledgements_at_once_and_is_said(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    sender, directory = running.connect(), running.directory / "store"
    chunk = sender.packed(event(1))
    assert sender.acknowledged() == chunk
    assert running.collector.unready() == ""
    away = directory.rename(running.directory / "away")
    sender.packed(event(2))
    assert sender.answer() is None
    sentence = f"{directory} was removed, moved or unmounted"
    assert sentence in running.collector.unready()
    assert any(sentence in record.getMessage() for record in caplog.records)
    away.rename(directory)
    chunk = (again := running.connect()).packed(event(2))
    assert again.acknowledged() == chunk
    assert running.collector.unready() == ""


def test_a_store_directory_that_is_replaced_gets_no_acknowledgement(running: Running) -> None:
    directory = running.directory / "store"
    directory.rename(running.directory / "away")
    shutil.copytree(running.directory / "away", directory)
    sender = running.connect()
    sender.packed(event(1))
    assert sender.answer() is None
    assert "was removed, moved or unmounted" in running.collector.unready()


def test_what_is_no_forward_is_named_with_what_to_change(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    expected = {
        b"GET / HTTP/1.1\r\n\r\n": "an HTTP request",
        b"\x16\x03\x01\x02\x00\x01\x00": "a TLS handshake (the sender uses tls://",
    }
    for number, (sent, named) in enumerate(expected.items()):
        running.collector._health._named.clear()
        sender = running.connect()
        sender.send(sent)
        assert sender.answer() is None
        assert named in caplog.records[number].getMessage()


def test_what_the_disk_refuses_is_not_acknowledged_and_may_come_again(running: Running) -> None:
    append = running.store.append

    def full(entries: object) -> None:
        raise OSError(28, "No space left on device")

    running.collector._committer._append = full  # type: ignore[assignment]
    first = running.connect()
    first.packed(event(1))
    first.packed(event(2))
    assert first.answer() is None
    running.when(lambda: running.health()["connections"] == 0)
    running.collector._committer._append = append
    again = running.connect()
    chunk = again.packed(event(1), event(2))
    assert again.acknowledged() == chunk
    assert running.messages() == ["event 1", "event 2"]
    assert running.health()["refused_batches_total"] >= 1


def test_a_batch_that_breaks_the_store_does_not_hold_up_the_others(running: Running) -> None:
    append, gate = running.store.append, threading.Event()

    def fragile(entries: list[tuple[int, dict[str, object]]]) -> object:
        gate.wait(20)
        if any(record.get("message") == "poison" for _, record in entries):
            raise RuntimeError("this record is too much")
        return append(entries)

    running.collector._committer._append = fragile  # type: ignore[assignment]
    good, bad = running.connect(), running.connect()
    good.packed(event(1))
    bad.packed({"message": "poison"})
    chunk = good.packed(event(2))
    running.when(lambda: running.health()["frames_total"] == 3)
    gate.set()
    assert good.acknowledged()
    assert good.acknowledged() == chunk
    assert bad.answer() is None


def test_a_clean_stop_stores_and_acknowledges_what_is_here(running: Running, sender: Sender) -> None:
    chunks = [sender.packed(event(number)) for number in range(1, 21)]
    running.when(lambda: running.health()["frames_total"] == 20)
    running.stop()
    assert [sender.acknowledged() for _ in chunks] == chunks
    assert sender.acknowledged() is None


def test_a_clean_stop_does_not_wait_for_a_silent_peer(running: Running, sender: Sender) -> None:
    half = running.connect()
    half.send(b"\x93")
    running.when(lambda: running.health()["connections"] == 2)
    running.stop()
    assert half.answer() is None


def test_the_unix_socket_is_for_owner_and_group_and_replaces_a_stale_one(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "forward.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    running = start(unix=path, forward="off")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    sender = running.connect(path)
    chunk = sender.packed(event(1))
    assert sender.acknowledged() == chunk
    running.stop()
    assert not path.exists()


def test_an_address_that_is_taken_is_said_so(running: Running, tmp_path: Path) -> None:
    with pytest.raises(ListenError, match=f"127.0.0.1:{running.port} is in use"):
        Running(tmp_path / "other", forward=f"127.0.0.1:{running.port}")


def test_killed_at_any_moment_it_has_stored_what_it_acknowledged(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import asyncio, sys
        from logship.collector.serve import Collector
        from logship.settings import load
        from logship.store.write.store import Store
        async def main():
            settings = load({"state_dir": sys.argv[1], "forward": "127.0.0.1:0"}, {})
            collector = Collector(settings, Store(settings.store_dir))
            await collector.start()
            print(collector.addresses[0], flush=True)
            await asyncio.Event().wait()
        asyncio.run(main())
        """
    )
    acknowledged = 0
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        sender = Sender(port)
        for number in range(1, 60):
            sender.packed(event(acknowledged + number, text="x" * 2000))
        for _ in range(25):
            sender.acknowledged()
            acknowledged += 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        sender.close()
    running = Running(tmp_path)
    try:
        numbers = [int(str(record["event.sequence"])) for record in running.records()]
        assert len(numbers) == len(set(numbers))
        assert set(range(1, acknowledged + 1)) <= set(numbers)
    finally:
        running.stop()
