"""Measure the cost of logging each request: the same applications and servers without logging, and with four ways to log.

    python benchmarks/bench_request.py [--quick] [--profile]

CPU is the time that the kernel counts for the server's threads. `loop` is the thread of the event loop, `threads` are all
other threads that log (a queue's listener, logship's shipping thread); shares are of both together unless noted. Throughput is
requests per second of the server's CPU with all connections busy, `by the clock` as wrk measured it. Both are equal on a quiet
machine; on a busy one, only the first is meaningful."""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from machine import Looper, differences, median, ratios, scratch, settle, sink, table
from served import Server, use_load_core

LOGS = {
    "none": "no logging",
    "access": "uvicorn's access line",
    "recipe": "structlog + QueueHandler + JSON",
    "fluent": "fluent-logger, synchronous",
    "logship": "logship, all fields",
}
SERVERS = {"httptools + uvloop": ("httptools", "uvloop"), "h11 + asyncio": ("h11", "asyncio")}
APPLICATIONS = {"fastapi": "FastAPI", "bare": "bare ASGI"}
LOOP_TARGET_US, LOOP_AIM_US = 9.0, 7.0
SHARE_TARGETS = {"httptools + uvloop": 0.6, "h11 + asyncio": 0.7}
THROUGHPUT_TARGET = 0.8


@dataclass(frozen=True, slots=True)
class Size:
    """The amount of work to measure."""

    rounds: int
    burst: int
    saturations: int
    visits: int
    loop_rounds: int


FULL = Size(rounds=11, burst=960, saturations=3, visits=1, loop_rounds=21)
QUICK = Size(rounds=3, burst=480, saturations=1, visits=0, loop_rounds=5)


@dataclass
class Verdicts:
    """Each target with the measured value."""

    lines: list[str] = field(default_factory=list)

    def at_most(self, what: str, measured: float, target: float, aside: str = "") -> None:
        self._say(measured <= target, what, f"{measured:.2f}", f"at most {target:g}", aside)

    def at_least(self, what: str, measured: float, target: float, aside: str = "") -> None:
        self._say(measured >= target, what, f"{measured:.2f}", f"at least {target:g}", aside)

    def _say(self, met: bool, what: str, measured: str, target: str, aside: str) -> None:
        self.lines.append(f"{'met   ' if met else 'MISSED'} {what}: {measured}, target {target}{aside}")


def tight_loop(size: Size, verdicts: Verdicts) -> None:
    """Measure the middleware alone around a bare application, without a server."""
    with scratch() as folder, sink() as port:
        loopers = [Looper(log, ["tight.py", log], folder, port) for log in LOGS if log != "none"]
        try:
            for looper in loopers:
                looper.turn(2000, keep=False)
            for turn in range(size.loop_rounds):
                for looper in loopers if turn % 2 else loopers[::-1]:
                    looper.turn(2000)
        finally:
            for looper in loopers:
                looper.close()
    rows = []
    access = 0.0
    for looper in loopers:
        costs = differences(looper.column(1), looper.column(0))
        least = min(looper.column(1)) - min(looper.column(0))
        threads = median(looper.column(2))
        access = access or costs
        rows.append([LOGS[looper.name], f"{costs:.2f}", f"{least:.2f}", f"{threads:.2f}", f"{costs / access:.2f}"])
        if looper.name == "logship":
            beside = f" (aim {LOOP_AIM_US:g}; the shipping thread takes {threads:.2f} us more)"
            verdicts.at_most("tight loop, us per request", costs, LOOP_TARGET_US, beside)
    columns = ["tight loop, no server: us per request", "caller", "least", "threads", "caller, of the access line"]
    table("The middleware alone, above the same application without logging", columns, rows)


def one_server(application: str, name: str, size: Size, verdicts: Verdicts) -> None:
    http, loop = SERVERS[name]
    with scratch() as folder, sink() as port:
        servers = [Server(application, log, http, loop, folder, port) for log in LOGS]
        try:
            for server in servers:
                server.warm(480)
            settle(0.6)
            for server in servers:
                server.connect()
            in_turn(servers, 1, lambda server: server.burst(size.burst // 2))
            settle()
            for server in servers:
                server.main.clear()
                server.wall.clear()
            in_turn(servers, size.rounds, lambda server: server.burst(size.burst))
            in_turn(servers, size.saturations, lambda server: server.saturate(1))
            in_turn(servers, size.visits, lambda server: server.visit(1, 500))
        finally:
            for server in servers:
                server.close()
    report(application, name, servers, verdicts)


def in_turn(servers: list[Server], rounds: int, work: Callable[[Server], None]) -> None:
    for turn in range(rounds):
        for server in servers if turn % 2 else servers[::-1]:
            work(server)


def report(application: str, name: str, servers: list[Server], verdicts: Verdicts) -> None:
    none, access = servers[0], servers[1]
    access_us = differences(access.main, none.main)
    rows = []
    for server in servers:
        loop_us = differences(server.main, none.main)
        threads_us = median(server.others)
        share, alone = (loop_us + threads_us) / access_us, loop_us / access_us
        rate, clock_rate = ratios(server.cpu_rates, none.cpu_rates), ratios(server.rates, none.rates)
        late = (
            [f"{ratios(server.p50, none.p50):.2f}", f"{ratios(server.p99, none.p99):.2f}"] if server.p50 else ["-", "-"]
        )
        shares = ["-", "-"] if server is none else [f"{share:.2f}", f"{alone:.2f}"]
        cpu = [f"{loop_us:+.1f}", f"{threads_us:.1f}"] if server is not none else [f"{median(none.main):.1f}", "-"]
        wall = f"{differences(server.wall, none.wall):+.1f}" if server is not none else f"{median(none.wall):.1f}"
        rows.append([LOGS[server.log], *cpu, wall, *shares, f"{rate:.2f}", f"{clock_rate:.2f}", *late])
        if server.log == "logship":
            what = f"{APPLICATIONS[application]}, {name}"
            beside = f" (the event loop alone {alone:.2f})"
            verdicts.at_most(f"share of the access line, {what}", share, SHARE_TARGETS[name], beside)
            if application == "fastapi":
                beside = f" ({clock_rate:.2f} by the clock)"
                verdicts.at_least(f"throughput without logging, {what}", rate, THROUGHPUT_TARGET, beside)
    title = f"{APPLICATIONS[application]}, uvicorn with {name} ({median(none.cpu_rates):,.0f} requests/s without log)"
    cost = ["us per request above no logging", "loop", "threads", "wall"]
    table(title, [*cost, "of access line", "loop alone", "throughput", "by the clock", "p50", "p99"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the cost of logging each request.")
    parser.add_argument("--quick", action="store_true", help="Fewer rounds, under 40 s, rough numbers")
    parser.add_argument("--profile", action="store_true", help="Only profile logship's share of the tight loop")
    given = parser.parse_args()
    if given.profile:
        import profile_request

        return profile_request.main()
    size = QUICK if given.quick else FULL
    verdicts = Verdicts()
    began = time.monotonic()
    use_load_core()
    tight_loop(size, verdicts)
    for application in APPLICATIONS:
        for name in SERVERS:
            one_server(application, name, size, verdicts)
    print(f"\nVerdicts ({time.monotonic() - began:.0f} s; differences of 2 us under a server are noise)")
    print("\n".join(f"  {line}" for line in verdicts.lines))
    return None


if __name__ == "__main__":
    main()
