"""Count the instructions that logging adds to a request, in the same tight loop as bench_request.py, without a server.

    python benchmarks/bench_instructions.py [--requests 1000] [--rounds 3]

valgrind's callgrind counts the instructions of the user space: the same on a busy machine as on a quiet one, so that a change
of one percent shows, which CPU time cannot show on a shared machine. Two runs of each variant, with one and with two times as
many requests: their difference has no start-up in it. Only the thread of the event loop is counted: under valgrind time passes
fifty times faster, so that threads that wake up now and then would count too much; bench_request.py has their CPU time. The work
of the kernel is not counted: uvicorn's access line writes each line."""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from machine import HERE, environment, median, scratch, sink, table

VARIANTS = {
    "access": "uvicorn's access line",
    "recipe": "structlog + QueueHandler + JSON",
    "logship": "logship, all fields",
}


def counted(variant: str, requests: int, folder: Path, port: int) -> int:
    """Return the instructions of the main thread of a process that drives this many requests."""
    out = folder / "callgrind.out"
    valgrind = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}", "--quiet"]
    subprocess.run(
        [*valgrind, sys.executable, "tight.py", variant],
        input=f"{requests}\n", text=True, check=True, cwd=HERE, env=environment(folder / variant, port),
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    found = re.search(r"^(?:summary|totals): (\d+)", out.with_name("callgrind.out-01").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def per_request(variant: str, requests: int) -> float:
    """Return the instructions of one request with logging and one without, together."""
    with scratch() as folder, sink() as port:
        few, many = (counted(variant, times * requests, folder, port) for times in (1, 2))
    return (many - few) / requests


def main() -> None:
    parser = argparse.ArgumentParser(description="Count the instructions that logging adds to a request.")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is not installed: it counts the instructions")
    counts: dict[str, list[float]] = {"none": [], **{variant: [] for variant in VARIANTS}}
    for turn in range(given.rounds):
        for variant, measured in counts.items():
            print(f"round {turn + 1} of {given.rounds}: {variant}", file=sys.stderr)
            measured.append(per_request(variant, given.requests))
    none = median(counts.pop("none"))
    access = median(counts["access"]) - none
    table(
        f"Instructions per request above the same application without logging ({none / 2:,.0f})",
        ["tight loop, no server, event loop alone", "median", "least", "most", "of access line"],
        [
            [VARIANTS[variant], *(f"{value - none:,.0f}" for value in (median(some), min(some), max(some))),
             f"{(median(some) - none) / access:.2f}"]
            for variant, some in counts.items()
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
