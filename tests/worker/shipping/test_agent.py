"""The connection to the agent against far ends that hang, hang up, lie and come back; with a clock of our own."""

from collections.abc import Callable

from logship.worker.shipping.window import FRAMES
from tests.worker.far_agent import FarAgent, Sending, in_frames
from tests.worker.serving import free_port

Make = Callable[..., Sending]


def test_what_is_acknowledged_is_done_in_the_journal_and_the_first_time_is_told(sending: Make) -> None:
    sender = sending(FarAgent())
    sender.log("one", "two")
    assert sender.pending == 2
    sender.until(lambda: not sender.pending)
    sender.log("three")
    sender.until(lambda: not sender.pending)
    assert sender.far is not None
    assert sender.far.stored() == ["one", "two", "three"]
    assert (sender.first_acks, sender.agent.trouble, len(sender.far.peers)) == (1, "", 1)


def test_an_agent_that_accepts_and_never_reads_holds_nobody_and_everything_arrives_when_it_wakes_up(
    sending: Make,
) -> None:
    far = FarAgent()
    far.reads_bytes = 0
    sender = sending(far)
    in_frames(sender, FRAMES, size_bytes=60_000)
    sender.log(*(f"more {number}" for number in range(200)), size_bytes=60_000)
    sender.until(lambda: sender.agent.trouble.startswith("no acknowledgement in time; check"), a_step_seconds=0.1)
    assert sender.pending == len(sender.logged)
    far.reads_bytes = 2**20
    sender.until(lambda: not sender.pending, a_step_seconds=0.01)
    assert sorted(set(far.stored())) == sorted(sender.logged), "sent again is allowed, lost is not"


def test_without_acknowledgement_the_timeout_doubles_up_to_a_minute_and_the_same_bytes_come_again(
    sending: Make,
) -> None:
    far = FarAgent()
    far.answer = lambda peer, frame: None
    sender = sending(far)
    in_frames(sender, 2)
    waited = []
    for round_ in range(1, 7):
        sender.until(lambda done=2 * round_: len(far.got) == done, a_step_seconds=0.01)  # type: ignore[misc]
        sender.step()
        deadline = sender.agent.deadline()
        assert deadline is not None
        waited.append(round(deadline - sender.now))
        sender.now = deadline
        sender.step()
    assert waited == [5, 10, 20, 40, 60, 60]
    assert len(far.peers) == 6, "one connection each"
    assert set(far.got) == set(far.got[:2]), "same chunk, same bytes"
    assert [frame.messages[0] for frame in far.got] == ["event 0", "event 1"] * 6
    assert not sender.folder.exists()
    far.answer = lambda peer, frame: peer.acknowledge(frame.chunk)
    sender.until(lambda: not sender.pending, a_step_seconds=0.01)


def test_a_slow_reader_gets_every_frame_and_is_not_sent_each_one_again_and_again(sending: Make) -> None:
    far = FarAgent()
    far.reads_bytes = 20_000
    sender = sending(far)
    in_frames(sender, 12, size_bytes=60_000)
    sender.until(lambda: not sender.pending, a_step_seconds=1.0)
    assert set(far.stored()) == set(sender.logged)
    assert len(far.got) < 2 * 12
    assert not sender.folder.exists()


def test_a_refusing_agent_is_asked_ever_less_often_with_jitter_and_at_once_when_it_is_back(sending: Make) -> None:
    port = free_port()
    sender = sending(f"127.0.0.1:{port}")
    sender.log("one")
    pauses = []
    for _ in range(12):
        before = sender.agent.reconnects
        sender.until(lambda before=before: sender.agent.reconnects > before)  # type: ignore[misc]
        assert "connection refused" in sender.agent.trouble
        retry = sender.agent.deadline()
        assert retry is not None
        pauses.append(retry - sender.now)
        sender.now = retry
    limits = [min(10.0, 0.1 * 2**number) for number in range(12)]
    assert all(limit / 2 <= pause <= limit for pause, limit in zip(pauses, limits, strict=True))
    assert len({round(pause / limit, 6) for pause, limit in zip(pauses, limits, strict=True)}) > 6, "jitter"
    sender.far = FarAgent(port)
    sender.wait(10.0)
    sender.until(lambda: not sender.pending)
    assert sender.far.stored() == ["one"]


def test_an_agent_that_closes_in_the_middle_of_a_frame_gets_the_same_frame_again(sending: Make) -> None:
    far = FarAgent()
    sender = sending(far)
    sender.log(*(f"event {number}" for number in range(300)), size_bytes=1000)
    far.reads_bytes = 10_000
    for _ in range(10):
        sender.until(lambda: far.peers and not far.peers[-1].closed and far.peers[-1].bytes >= 10_000, 0.1)
        far.peers[-1].hang_up()
    far.reads_bytes = 2**20
    sender.until(lambda: not sender.pending, a_step_seconds=0.1)
    assert far.stored() == sender.logged
    assert not sender.folder.exists(), "nobody passes: it is the agent and not the frame"


def test_an_agent_that_restarts_on_its_port_gets_what_it_had_not_acknowledged(sending: Make) -> None:
    far = FarAgent()
    far.answer = lambda peer, frame: peer.acknowledge(frame.chunk) if frame.messages == ("event 0",) else None
    sender = sending(far)
    in_frames(sender, 3)
    sender.until(lambda: len(far.got) == 3 and sender.pending == 2)
    far.close()
    sender.far = again = FarAgent(far.port)
    in_frames(sender, 1)
    sender.until(lambda: not sender.pending, a_step_seconds=0.01)
    assert sorted(again.stored()) == ["event 0", "event 1", "event 2"]


def test_acknowledgements_may_come_in_any_order_and_the_mark_moves_only_over_what_is_complete(sending: Make) -> None:
    far = FarAgent()
    far.answer = lambda peer, frame: None
    sender = sending(far)
    in_frames(sender, 4)
    sender.until(lambda: len(far.got) == 4)
    marks = []
    for place in (2, 1, 0, 3):
        far.peers[0].acknowledge(far.got[place].chunk)
        before = sender.agent.acks
        sender.until(lambda before=before: sender.agent.acks > before)  # type: ignore[misc]
        marks.append(sender.pending)
    assert marks == [4, 4, 1, 0]


def test_an_acknowledgement_of_something_else_is_nothing_and_garbage_ends_the_connection(sending: Make) -> None:
    far = FarAgent()
    far.answer = lambda peer, frame: peer.acknowledge("somebody else's")
    sender = sending(far)
    sender.log("one")
    sender.until(lambda: far.got)
    sender.wait(0.1)
    assert sender.pending == 1
    far.peers[0].socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    far.answer = lambda peer, frame: peer.acknowledge(frame.chunk)
    sender.until(lambda: not sender.pending, a_step_seconds=0.01)
    assert len(far.peers) == 2


def test_the_window_is_bounded_and_the_journal_keeps_the_rest(sending: Make) -> None:
    far = FarAgent()
    far.answer = lambda peer, frame: None
    sender = sending(far)
    in_frames(sender, 3 * FRAMES)
    sender.until(lambda: len(far.got) == FRAMES)
    for _ in range(20):
        sender.step()
    assert len(far.got) == FRAMES
    assert not sender.agent.room()
