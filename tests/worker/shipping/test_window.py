"""Frames that the agent will not have: the one bad record is found, and nobody else pays for it."""

import itertools
from collections.abc import Callable

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.worker.far_agent import FarAgent, Got, Peer, Sending, in_frames

Make = Callable[..., Sending]


def refusing(poison: set[str], how: Callable[[Peer], object]) -> Callable[[Peer, Got], object]:
    def answer(peer: Peer, frame: Got) -> None:
        if poison & set(frame.messages):
            how(peer)
        else:
            peer.acknowledge(frame.chunk)

    return answer


def hears_nothing(peer: Peer) -> None:
    """Swallow the frame."""


@pytest.mark.parametrize("how", [Peer.hang_up, hears_nothing], ids=["closes the connection", "swallows the frame"])
def test_a_record_that_is_always_refused_is_found_and_set_aside_and_the_others_arrive(
    sending: Make, how: Callable[[Peer], object]
) -> None:
    far = FarAgent()
    far.answer = refusing({"event 77"}, how)
    sender = sending(far)
    sender.log(*(f"event {number}" for number in range(100)))
    beats = itertools.count()

    def beat() -> bool:
        if next(beats) % 40 == 0:
            sender.log(f"beat {len(sender.logged)}")
        return sender.folder.exists() and sender.pending < 3

    sender.until(beat, a_step_seconds=0.05)
    sender.until(lambda: not sender.pending, a_step_seconds=0.05)
    arrived = [message for frame in far.got if "event 77" not in frame.messages for message in frame.messages]
    assert sorted(arrived) == sorted(set(sender.logged) - {"event 77"}), "each once, but the one"
    (path,) = sender.folder.iterdir()
    assert msgpack.unpackb(path.read_bytes())[1]["message"] == "event 77"
    assert sender.journal.identity.dropped()["refused"] == 1
    assert path.stat().st_mode & 0o777 == 0o600


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(poison=st.sets(st.integers(0, 59), max_size=4))
def test_whichever_records_are_refused_exactly_those_are_set_aside(
    poison: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    far = FarAgent()
    named = {f"event {number}" for number in poison}
    far.answer = refusing(named, Peer.hang_up)
    sender = Sending(tmp_path_factory.mktemp("poison"), far.address)
    sender.far = far
    try:
        for start in range(0, 60, 15):
            sender.log(*(f"event {number}" for number in range(start, start + 15)))
            sender.agent._fill()
        beats = itertools.count()

        def beat() -> bool:
            if next(beats) % 20 == 0 and sender.journal.identity.dropped()["refused"] < len(poison):
                sender.log(f"beat {len(sender.logged)}")
            return not sender.pending

        sender.until(beat, a_step_seconds=0.1)
        assert sender.journal.identity.dropped()["refused"] == len(poison)
        arrived = {message for frame in far.got if not named & set(frame.messages) for message in frame.messages}
        assert arrived == set(sender.logged) - named
    finally:
        sender.close()


def test_an_agent_that_takes_nothing_makes_nobody_throw_anything_away(sending: Make) -> None:
    far = FarAgent()
    sender = sending(far)
    sender.log("before")
    sender.until(lambda: not sender.pending)
    far.answer = lambda peer, frame: peer.hang_up()  # a load balancer that has lost what is behind it
    in_frames(sender, 5)
    sender.until(lambda: len(far.peers) > 60, a_step_seconds=5.0)
    assert sender.pending == 5
    assert not sender.folder.exists()
    assert len(far.peers) - len(far.got) < 3
    assert max(len(frame.messages) for frame in far.got) == 1


def test_a_bad_record_is_not_blamed_on_its_neighbours_when_the_agent_dies_while_it_is_sought(sending: Make) -> None:
    far = FarAgent()
    far.answer = refusing({"event 5"}, Peer.hang_up)
    sender = sending(far)
    sender.log(*(f"event {number}" for number in range(64)))
    sender.agent._fill()
    sender.log("other 1")
    for number in range(4):  # far enough for the first halves
        sender.log(f"other {number}")
        before = len(far.peers)
        sender.until(lambda before=before: len(far.peers) > before, a_step_seconds=0.1)  # type: ignore[misc]
    far.answer = lambda peer, frame: peer.hang_up()
    sender.until(lambda: len(far.peers) > 60, a_step_seconds=5.0)
    assert sender.journal.identity.dropped()["refused"] == 0
