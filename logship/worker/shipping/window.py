"""Frames on their way to the agent: which to send next, which is acknowledged, and which the agent refuses.

At most eight frames are unacknowledged. What the agent seems to refuse is sent last and alone. A frame that is refused
three times, while others are acknowledged, is halved until one record is left, which is set aside: one bad record does not
hold up the rest, and an agent that accepts nothing at all costs no record.
"""

from collections import deque

from logship.event.entry import TAG
from logship.wire import send
from logship.worker.shipping.bundle import Bundle, Feed

FRAMES = 8
REFUSALS = 3


class SentFrame:
    """A bundle on its way: the same bytes and the same chunk however often it is sent."""

    __slots__ = ("acked", "acks_before", "bundle", "chunk", "overtaken", "parts", "refusals", "sent_at")

    def __init__(self, bundle: Bundle, refusals: int = 0, acks_before: int = 0) -> None:
        """`refusals`: how often the agent has refused it; `acks_before`: how many frames it had acknowledged by then."""
        self.bundle = bundle
        self.chunk = send.new_chunk()
        body = bundle.body()
        head, tail = send.frame_head(TAG, len(body)), send.frame_tail(self.chunk, bundle.records)
        self.parts: tuple[bytes | memoryview, ...] = (head, body, tail)
        self.acked = self.overtaken = False
        self.refusals = refusals
        self.acks_before = acks_before
        self.sent_at = 0.0


class FrameWindow:
    """The frames that are taken from the feed and not done, in the order of the feed. `acks`: acknowledged so far."""

    def __init__(self, feed: Feed) -> None:
        self.acks = 0
        self._feed = feed
        self._frames: deque[SentFrame] = deque()
        self._unsent: deque[SentFrame] = deque()
        self._sent: list[SentFrame] = []

    def __bool__(self) -> bool:
        return bool(self._frames)

    def has_room(self) -> bool:
        """Return whether another frame may be taken from the feed."""
        return sum(not frame.acked for frame in self._frames) < FRAMES

    def take(self) -> bool:
        """Take a bundle from the feed; False if it has none."""
        bundle = self._feed.next()
        if bundle is None:
            return False
        frame = SentFrame(bundle)
        self._frames.append(frame)
        self._unsent.append(frame)
        return True

    def oldest_sent(self) -> SentFrame | None:
        """Return the frame that was sent first of those that are sent on this connection and not acknowledged."""
        return self._sent[0] if self._sent else None

    def next_to_send(self, now: float) -> SentFrame | None:
        """Return the next frame, from now on a sent one; None if there is none, or while a refused one is on its way.

        A refused frame travels alone, so that a closed connection can only mean that frame."""
        refused = any(frame.refusals and not frame.acked for frame in self._frames)
        if not self._unsent or (self._sent and refused):
            return None
        frame = self._unsent.popleft()
        frame.sent_at = now
        self._sent.append(frame)
        return frame

    def disconnect(self) -> None:
        """Note that the connection is lost: no frame is sent any more."""
        self._sent = []

    def reconnect(self) -> None:
        """Have all frames sent again that are not acknowledged; those that were refused most often last."""
        self._sent = []
        again = [frame for frame in self._frames if not frame.acked]
        self._unsent = deque(sorted(again, key=lambda frame: frame.refusals))  # stable: the others keep their order

    def acknowledge(self, chunk: str) -> SentFrame | None:
        """Mark the sent frame with this chunk as acknowledged and return it; None if there is none."""
        index = next((index for index, frame in enumerate(self._sent) if frame.chunk == chunk), None)
        if index is None:
            return None
        for frame in self._sent[:index]:
            frame.overtaken = True
        frame = self._sent.pop(index)
        frame.acked = True
        frame.parts = ()
        self.acks += 1
        return frame

    def settle(self) -> None:
        """Finish the acknowledged frames at the front: bundles are done in the order of the feed."""
        while self._frames and self._frames[0].acked:
            self._frames.popleft().bundle.done()

    def refuse(self, frame: SentFrame) -> None:
        """Note that the agent seems to refuse `frame`: halve it after three times, set a single record aside."""
        others_pass = frame.acks_before != self.acks
        frame.acks_before = self.acks
        frame.refusals += 1
        if frame.refusals < REFUSALS or not self.acks:
            return
        if frame.bundle.records > 1:
            self._halve(frame)
        elif others_pass:  # otherwise it may be the agent
            frame.bundle.set_aside()
            frame.acked = True
            self.settle()

    def _halve(self, frame: SentFrame) -> None:
        index = self._frames.index(frame)
        self._frames.remove(frame)
        for half in reversed(frame.bundle.split()):
            self._frames.insert(index, SentFrame(half, REFUSALS - 1, self.acks))
