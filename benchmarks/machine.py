"""Shared by benchmarks: processes pinned to cores, CPU time as the kernel counts it, and tables.

The machine is shared and noisy. Therefore all compared variants run at the same time and take short turns, and the printed
numbers are medians of differences within one round."""

import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def differences(values: Sequence[float], base: Sequence[float]) -> float:
    """Return the median of the paired differences: the cost of a variant above `base`."""
    return median([value - under for value, under in zip(values, base, strict=True)])


def ratios(values: Sequence[float], base: Sequence[float]) -> float:
    """Return the median of the paired ratios."""
    return median([value / under for value, under in zip(values, base, strict=True)])


def cpu_us(pid: int) -> tuple[float, float]:
    """Return CPU microseconds of process `pid`: (main thread, all other running threads)."""
    main = others = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            used = int((task / "schedstat").read_text().split()[0])
            main, others = (main + used, others) if task.name == str(pid) else (main, others + used)
    return main / 1000, others / 1000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Yield a directory in memory, so that the disk does not affect results."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="logship-bench-", dir=where))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def sink() -> Iterator[int]:
    """Yield the port of a Forward sink that acknowledges."""
    process = subprocess.Popen([sys.executable, str(HERE / "sink.py")], stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(process.pid, {LOAD_CORE})
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


class Looper:
    """A child process that measures one variant: `turn` runs one turn and returns the numbers that the child prints."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, port: int) -> None:
        self.name = name
        self.turns: list[list[float]] = []
        self._process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(folder / name, port),
            cwd=HERE,
        )
        os.sched_setaffinity(self._process.pid, {SERVER_CORE})

    def turn(self, count: int, keep: bool = True) -> list[float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        answer = [float(word) for word in self._process.stdout.readline().split()]
        if not answer:
            raise SystemExit(f"{self.name} ended with status {self._process.wait()}")
        if keep:
            self.turns.append(answer)
        return answer

    def column(self, place: int) -> list[float]:
        return [turn[place] for turn in self.turns]

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()


def environment(folder: Path, port: int) -> dict[str, str]:
    """Return the environment of one variant: a separate folder and state, and the sink at `port`."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOGSHIP_", "BENCH_"))}
    return {
        **kept,
        "PYTHONHASHSEED": "0",
        "BENCH_SINK": str(port),
        "BENCH_FOLDER": str(folder),
        "LOGSHIP_SERVICE": "shop",
        "LOGSHIP_VERSION": "1.0.3",
        "LOGSHIP_ENVIRONMENT": "production",
        "LOGSHIP_AGENT": f"127.0.0.1:{port}",
        "LOGSHIP_STATE_DIR": str(folder / "state"),
    }


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their columns; the first column is text, the others numbers."""
    widths = [max(len(line[place]) for line in (columns, *rows)) for place in range(len(columns))]
    print(f"\n{title}")
    for line in (columns, *rows):
        first, *others = (
            word.ljust(widths[0]) if not place else word.rjust(widths[place]) for place, word in enumerate(line)
        )
        print("  " + "   ".join((first, *others)), flush=True)


def settle(seconds: float = 0.3) -> None:
    """Wait until threads that ship or write have finished."""
    time.sleep(seconds)
