"""What the chain of digests costs: CPU time of ingest with and without it, bytes for each event, and the time of a check.

    python benchmarks/bench_integrity.py [--events 1000000] [--rounds 3]

"Without" is the same store with a chain that records nothing. CPU time is that of the process with sealing and merging, without
the generation of events. Rounds alternate; the medians are compared."""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from events import Entry, Shop

from logship.errors import StoreError
from logship.search.query import Query
from logship.store.chain.check import ChainCheck
from logship.store.chain.record import CHAIN
from logship.store.chain.writer import Chain
from logship.store.files import read_listing
from logship.store.write.merging import mergeable
from logship.store.write.store import Store

BATCH = 500


class NoChain(Chain):
    """Records nothing."""

    def sealed(self, segment: object) -> None:
        pass

    def replacing(self, *_: object) -> None:
        pass

    def matches(self, segment: object) -> bool:
        return True


def ingest(directory: Path, events: int, chained: bool) -> float:
    """Write events into a store until all is sealed, and return the CPU time of the process in microseconds an event."""
    if not chained:
        import logship.store.write.store as module

        module.Chain = NoChain  # type: ignore[misc]
    began, generating = time.process_time(), 0.0
    batches = Shop().batches(events, BATCH)
    with Store(directory) as store:
        while True:
            before = time.thread_time()
            batch = next(batches, None)
            generating += time.thread_time() - before
            if batch is None:
                break
            append(store, batch)
        store.seal(600)
        store._maintenance.wait(lambda: not mergeable(read_listing(directory).segments), 600)
        cpu = time.process_time() - began - generating
    return cpu / events * 1e6


def append(store: Store, batch: list[Entry]) -> None:
    """Store a batch; on a busy machine wait for sealing, as a sender does."""
    while True:
        try:
            store.append(batch)
        except StoreError:
            time.sleep(1)
        else:
            return


def apart(directory: Path, events: int, chained: bool) -> float:
    """Ingest in another process, so that the rounds do not share memory and caches."""
    command = [sys.executable, __file__, "--events", str(events), "--ingest", str(directory), *(["--chained"] * chained)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ingest", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--chained", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ingest:
        print(ingest(options.ingest, options.events, options.chained))
        return
    costs: dict[bool, list[float]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as parent:
        for round_ in range(options.rounds):
            for chained in (False, True):
                costs[chained].append(apart(Path(parent) / f"{round_}{chained}", options.events, chained))
        report(Path(parent) / "0True", options.events, costs)


def report(directory: Path, events: int, costs: dict[bool, list[float]]) -> None:
    without, chained = (statistics.median(costs[which]) for which in (False, True))
    print(f"ingest, CPU time an event   without {without:.2f} us, with {chained:.2f} us: {chained / without:.3f}x")
    chain, segments = (directory / CHAIN).stat().st_size, read_listing(directory).segments
    size = sum((directory / segment.name).stat().st_size for segment in segments)
    print(f"disk                        {chain / events:.3f} bytes an event, {chain / size:.2%} of the segments")
    began = time.perf_counter()
    found = ChainCheck(directory).integrity(Query())
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    ChainCheck(directory).integrity(Query(since_ns=segments[-1].newest_ns))
    recent = time.perf_counter() - began
    print(f"verify, {events:,} events   {found.finding}: {seconds:.3f} s for all, {recent:.3f} s for the newest segment")


if __name__ == "__main__":
    main()
