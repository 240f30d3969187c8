"""Frames damaged at random against the receiver. LOGSHIP_PROVE=1 sends a million of them, in some minutes."""

import json
import os
import random
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest

from logship.errors import WireError
from logship.wire.handshake import ClientHandshake, Credentials, ServerHandshake
from logship.wire.receive import Decoder, acknowledge
from logship.wire.send import AckReader
from tests.wire.samples import MODES, NOW_NS, event_time, pack

PROVE = bool(os.environ.get("LOGSHIP_PROVE"))
FRAMES = 1_000_000 if PROVE else 20_000
# Heads that promise much, bytes that mean nothing, and what begins other things.
WICKED = [
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\x7f\xff\xff\xff",
    b"\xdc\xff\xff",
    b"\xc1",
    b"\xc0",
    b"\x80",
    b"\x91" * 2000,
    b"\xc7\x08\x00",
    b"\xca\x7f\xc0\x00\x00",
    b"\xcb\x7e\x37\xe4\x3c\x88\x00\x75\x9c",
    b"\xff\xfe",
    b"\x1f\x8b\x08\x00",
    b"\x28\xb5\x2f\xfd",
]
RECORD = {
    "message": "GET /items/42 200 12ms",
    "event.id": "0123456789abcdef01234567-000000000001",
    "http.response.status_code": 200,
    "labels": {"tenant": "acme", "nested": [1, 2.5, None, True, b"raw"]},
}


@pytest.mark.timeout(3600 if PROVE else 120)
def test_damaged_frames_give_one_error_and_harm_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    # A process of its own: the peak of this one belongs to other tests.
    command = [sys.executable, "-m", "tests.wire.test_hostile", str(FRAMES)]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True, check=True)
    report = json.loads(run.stdout)
    with capsys.disabled():
        print(f"\ndamaged frames: {report}")
    assert report["decoded"] + report["refused"] + report["waited for"] == FRAMES
    assert min(report["refused"], report["decoded"], report["waited for"]) > FRAMES / 50
    assert report["good frames beside them"] == FRAMES // 10
    assert report["memory grew by MiB"] < 50


def send_damaged_frames(frames: int) -> dict[str, float]:
    """Return what became of so many damaged frames, sent over connections that are closed at the first error."""
    chance = random.Random(20251121)
    outcomes: Counter[str] = Counter()
    hostile, good = Decoder(), Decoder()
    before, begun = peak_bytes(), perf_counter()
    for number, frame in enumerate(damaged(chance, frames)):
        # What is waited for takes the next frame in; but not for ever, or nothing new would be tried.
        if closed(hostile) or chance.random() < 0.3:
            hostile = Decoder()
        outcomes[fed(hostile, frame, chance)] += 1
        if number % 10 == 0:
            sent = MODES[number // 10 % len(MODES)]([(NOW_NS, {"n": number})], "good", {"chunk": str(number)})
            middle = chance.randrange(len(sent))
            [batch] = good.feed(sent[:middle]) + good.feed(sent[middle:])
            assert (batch.tag, batch.chunk, batch.entries) == ("good", str(number), [(NOW_NS, {"n": number})])
            outcomes["good frames beside them"] += 1
    grown = round((peak_bytes() - before) / 2**20, 1)
    return {**outcomes, "memory grew by MiB": grown, "seconds": round(perf_counter() - begun, 1)}


def test_damaged_handshakes_and_acknowledgements_give_one_error() -> None:
    chance = random.Random(20251121)
    for _ in range(FRAMES // 10):
        server, client = ServerHandshake("key", {"ada": "pw"}, "agent"), ClientHandshake(Credentials("key"), "worker")
        sound = ClientHandshake(Credentials("key", "ada", "pw"), "worker").feed(server.greeting)
        for feed, words in (
            (server.feed, sound),
            (client.feed, server.greeting),
            (AckReader().feed, acknowledge("chunk")),
        ):
            try:
                feed(damage(words, [sound, server.greeting], chance))
            except WireError:
                continue


def fed(decoder: Decoder, frame: bytes, chance: random.Random) -> str:
    """Feed `frame` in one piece or in several; return what became of it."""
    size = chance.choice((len(frame), 1 + len(frame) // 3, 7)) or 1
    batches = []
    for start in range(0, len(frame), size):
        try:
            batches += decoder.feed(frame[start : start + size])
        except WireError:
            break
    if closed(decoder):
        return "refused"
    return "decoded" if batches else "waited for"


def closed(decoder: Decoder) -> bool:
    return decoder.broken is not None


def damaged(chance: random.Random, frames: int) -> Iterator[bytes]:
    entries = [(NOW_NS + n, RECORD) for n in range(3)]
    sound = [mode(entries, "logship.events", {"chunk": "AAECAwQFBgcICQoLDA0ODw==", "size": 3}) for mode in MODES]
    sound += [pack(["t", event_time(NOW_NS), {b"key": 1, 2: 3}]), pack(["t", 1_763_650_000.5, {"a": 1}, None])]
    for _ in range(frames):
        yield damage(chance.choice(sound), sound, chance)


def damage(frame: bytes, others: list[bytes], chance: random.Random) -> bytes:
    data = bytearray(frame)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        place = chance.randrange(len(data) + 1)
        kind = chance.randrange(7)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 1 and place < len(data):
            data[place] = chance.randrange(256)
        elif kind == 2:
            data[place:place] = chance.choice(WICKED)
        elif kind == 3:
            wicked = chance.choice(WICKED)
            data[place : place + len(wicked)] = wicked
        elif kind == 4:
            del data[place : place + chance.randrange(1, 9)]
        elif kind == 5:
            data[place:place] = data[place : place + chance.randrange(64)] * chance.randrange(1, 4)
        elif kind == 6 and chance.random() < 0.3:
            other = chance.choice(others)
            data[place:] = other[chance.randrange(len(other)) :]
    return bytes(data)


def peak_bytes() -> int:
    """The most memory that this process ever held."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage() says includes the parent's peak
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(json.dumps(send_damaged_frames(int(sys.argv[1]))))
