"""The counters of the collector since its start, and a log line for each peer that violates the protocol."""

import logging
from bisect import bisect_left
from dataclasses import asdict, dataclass, field
from itertools import accumulate

# At most so many peers are named in the log. Further ones are counted.
NAMED_PEERS = 256
# From the latency of a fast disk to the timeout of senders.
ACK_BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_logger = logging.getLogger("logship.collector")


@dataclass(slots=True)
class Health:
    """Counters end in `_total` and only grow; the other numbers are current values."""

    connections: int = 0
    pending_bytes: int = 0
    half_frame_bytes: int = 0
    connections_total: int = 0
    frames_total: int = 0
    records_total: int = 0
    received_bytes_total: int = 0
    commits_total: int = 0
    stored_total: int = 0
    duplicates_total: int = 0
    dead_letters_total: int = 0
    acknowledged_total: int = 0
    refused_batches_total: int = 0
    bad_peers_total: int = 0
    slow_peers_total: int = 0
    refused_connections_total: int = 0
    idle_closed_total: int = 0
    _named: set[str] = field(default_factory=set)
    _acks: list[int] = field(default_factory=lambda: [0] * (len(ACK_BOUNDS_SECONDS) + 1))
    _ack_seconds: float = 0.0

    def count(self, **changes: int) -> None:
        """Add to counters by name."""
        for name, change in changes.items():
            setattr(self, name, getattr(self, name) + change)

    def acknowledged_after(self, seconds: float) -> None:
        """Count the time from the last byte of a frame to its acknowledgement."""
        self._acks[bisect_left(ACK_BOUNDS_SECONDS, seconds)] += 1
        self._ack_seconds += seconds

    def ack_seconds(self) -> dict[str, object]:
        """Return the number of acknowledgements up to each bound: {"le": {seconds as text: count}, "sum": seconds}."""
        bounds = [*map(str, ACK_BOUNDS_SECONDS), "+Inf"]
        return {"le": dict(zip(bounds, accumulate(self._acks), strict=True)), "sum": self._ack_seconds}

    def bad_peer(self, peer: str, reason: str) -> None:
        """Count a connection that was closed because of what the peer sent. The log names each peer once."""
        self.bad_peers_total += 1
        if peer in self._named or len(self._named) >= NAMED_PEERS:
            return
        self._named.add(peer)
        _logger.warning("closed the connection of %s: %s (further ones of this peer are counted and not logged)", peer, reason)

    def refused_connection(self, most: int) -> None:
        """Count a sender that was refused because `most` connections are open. The first one is logged."""
        self.refused_connections_total += 1
        if self.refused_connections_total == 1:
            _logger.warning(
                "senders are refused: the limit of %d open connections is reached (further ones are counted and not logged)", most
            )

    def report(self) -> dict[str, int]:
        """Return every number by name."""
        return {name: value for name, value in asdict(self).items() if not name.startswith("_")}
