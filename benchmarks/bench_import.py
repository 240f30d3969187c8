"""Measure the cost of `import logship.auto`: CPU time at start, and memory of a worker.

    python benchmarks/bench_import.py [--quick]

CPU is user and system time of whole processes, compared with a process that imports only structlog and orjson. Memory is PSS
and USS of a uvicorn worker after some thousand requests, including the journal's prefaulted segments."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from machine import differences, environment, median, scratch, settle, sink, table
from served import Server, use_load_core

BASE = "import structlog, orjson"
CPU_TARGET_MILLISECONDS, MEMORY_TARGET_MB = 40.0, 12.0


def cpu_milliseconds(code: str, env: dict[str, str]) -> float:
    process = subprocess.Popen([sys.executable, "-c", code], env=env)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return (used.ru_utime + used.ru_stime) * 1000


def imports(rounds: int) -> float:
    """Print the cost of each import; return the CPU milliseconds that `logship.auto` adds to BASE."""
    codes = {
        "nothing": "pass",
        BASE: BASE,
        "the same, import logship": f"{BASE}, logship",
        "the same, import logship.auto": f"{BASE}, logship.auto",
        "the same, import uvicorn, fastapi": f"{BASE}, uvicorn, fastapi",
    }
    taken: dict[str, list[float]] = {name: [] for name in codes}
    with scratch() as folder:
        env = environment(folder, 1)
        for code in codes.values():
            cpu_milliseconds(code, env)  # compiles the modules
        for _ in range(rounds):
            for name, code in codes.items():
                taken[name].append(cpu_milliseconds(code, env))
    above = {name: differences(values, taken[BASE]) for name, values in taken.items()}
    rows = [[name, f"{median(taken[name]):.1f}", f"{min(taken[name]):.1f}", f"{above[name]:+.1f}"] for name in codes]
    table("Imports, ms of CPU per process", ["", "median", "least", "above the base"], rows)
    return above["the same, import logship.auto"]


def memory_mb(pid: int) -> tuple[float, float]:
    """Return (PSS, USS) of a process."""
    kib: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        kib[name] = int(value.split()[0])
    return kib["Pss"] / 1024, (kib["Private_Clean"] + kib["Private_Dirty"]) / 1024


def workers(rounds: int, requests: int) -> float:
    """Print the memory of a worker with and without logship; return the PSS that logship adds, in MB."""
    logs = {"none": "nothing", "recipe": "structlog + QueueHandler + JSON", "logship": "logship"}
    pss: dict[str, list[float]] = {log: [] for log in logs}
    uss: dict[str, list[float]] = {log: [] for log in logs}
    for _ in range(rounds):
        with scratch() as folder, sink() as port:
            servers = [Server("fastapi", log, "httptools", "uvloop", folder, port) for log in logs]
            try:
                for server in servers:
                    server.warm(480)
                    server.connect()
                    server.burst(requests)
                settle(0.5)
                for server in servers:
                    found = memory_mb(server.pid)
                    pss[server.log].append(found[0])
                    uss[server.log].append(found[1])
            finally:
                for server in servers:
                    server.close()
    above = {log: differences(pss[log], pss["none"]) for log in logs}
    rows = []
    for log, name in logs.items():
        private = f"{median(uss[log]):.1f}", f"{differences(uss[log], uss['none']):+.1f}"
        rows.append([name, f"{median(pss[log]):.1f}", f"{above[log]:+.1f}", *private])
    table(f"A uvicorn worker with FastAPI after {requests} requests, MB", ["", "PSS", "more", "USS", "more"], rows)
    return above["logship"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the CPU time and memory of importing logship.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    quick = parser.parse_args().quick
    use_load_core()
    cpu = imports(5 if quick else 21)
    memory = workers(1 if quick else 3, 4000)
    print("\nVerdicts")
    for what, measured, target in (
        ("CPU of import logship.auto beyond structlog and orjson, ms", cpu, CPU_TARGET_MILLISECONDS),
        ("memory of a worker beyond none, MB PSS", memory, MEMORY_TARGET_MB),
    ):
        print(f"  {'met   ' if measured <= target else 'MISSED'} {what}: {measured:.1f}, target at most {target:g}")


if __name__ == "__main__":
    main()
