"""Every server and start mode with real processes: one event per request, the right slots, and a reported end of each run.

All modes run in the background, a few at a time; each test waits for its mode and checks its events. The results are
compared with the table of docs/servers.md."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from logship.state import identity
from tests.conftest import PROVE
from tests.worker.serving import ROOT, Event, Server, until

DOC = ROOT / "docs" / "servers.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
HEAD = """| server | start | one event per request | slots | generations | end of a run | notes |
|---|---|---|---|---|---|---|"""
AT_ONCE = 3
REQUESTS = 500 if PROVE else 12
KILLED_REQUEST = "asked-when-killed"

Lives = list[tuple[int, int]]


def serve(server: Server, workers: int) -> None:
    """Start, answer, stop by SIGTERM."""
    server.wait_ready(workers)
    server.ask_many(REQUESTS)
    server.stop()


def press_ctrl_c(server: Server, workers: int) -> None:
    """Answer, then Ctrl-C."""
    server.wait_ready(workers)
    server.ask_many(REQUESTS)
    server.press_ctrl_c()
    server.wait_ended()


def press_ctrl_c_twice(server: Server, workers: int) -> None:
    """Answer, then Ctrl-C and, impatiently, once more."""
    server.wait_ready(workers)
    server.ask_many(REQUESTS)
    server.press_ctrl_c()
    time.sleep(0.05)
    server.press_ctrl_c()
    server.wait_ended()


def hang_up(server: Server, workers: int) -> None:
    """Answer, replace all workers by SIGHUP, answer again."""
    server.wait_ready(workers)
    server.ask_many(REQUESTS)
    server.kill(signal.SIGHUP)
    server.wait_ready(started=2 * workers)
    # One life may say goodbye twice: what it logs after that is shipped by its successor, with a goodbye that covers it.
    until(lambda: len(server.closed()) >= workers, "the old workers' goodbye")
    server.ask_many(REQUESTS)
    server.stop()


def one_more_one_less(server: Server, workers: int) -> None:
    """Answer, one worker more by SIGTTIN, answer, one less by SIGTTOU."""
    server.wait_ready(workers)
    server.kill(signal.SIGTTIN)
    server.wait_ready(workers + 1)
    until(lambda: (workers, 1) in server.lives(), "the next number, when it is clear that nobody leaves")
    server.ask_many(REQUESTS)
    server.kill(signal.SIGTTOU)
    until(lambda: server.actions("worker-closed"), "the goodbye of one worker")
    server.ask_many(REQUESTS)
    server.stop()


def touch_a_file(server: Server, workers: int) -> None:
    """Answer, change a file under --reload, answer again."""
    server.wait_ready(workers)
    server.ask_many(REQUESTS)
    for _ in range(4):  # under load the watcher has missed a change that came right after its start
        changed = server.folder / "shop.py"
        changed.write_text(changed.read_text() + "# changed\n")
        with contextlib.suppress(AssertionError):
            until(lambda: len(server.actions("worker-started")) > workers, "a reload", seconds=8)
            break
    server.wait_ready(started=workers + 1)
    until(lambda: server.ask()[0] == 200, "the answer of the next worker")
    server.ask_many(REQUESTS)
    server.stop()


def wear_out(server: Server, workers: int) -> None:
    """Answer more requests than one worker may."""
    server.wait_ready(workers)
    for number in range(30):
        try:
            server.ask(request_id=f"worn-{number}")
        except ConnectionResetError:  # a worker that retires closes what it has accepted and not read
            server.asked.remove(f"worn-{number}")
        time.sleep(0.02)
    until(lambda: len(server.actions("worker-started")) > workers, "a successor")
    until(lambda: server.actions("worker-closed"), "a goodbye")
    time.sleep(1.0)
    server.stop()


def order(server: Server, workers: int) -> None:
    """Ask for orders by number."""
    server.wait_ready(workers)
    for number in range(REQUESTS):
        assert server.ask(f"/shop/orders/{number}") == (200, str(number).encode())
    server.stop()


def kill_one(server: Server, workers: int) -> None:
    """Answer, kill -9 the worker that is answering a request, answer on, stop. A server that ends with it is started again."""
    server.wait_ready(workers)
    server.ask_many(REQUESTS)
    pid, connection = server.hang(KILLED_REQUEST)
    os.kill(pid, signal.SIGKILL)
    connection.close()
    time.sleep(0.3)
    if server.ends_with_a_worker:
        server.wait_ended()
        server.start()
    server.wait_ready(started=2 * workers if server.ends_with_a_worker else workers + 1)
    until(lambda: server.actions("worker-lost"), "worker-lost")
    server.ask_many(REQUESTS)
    server.stop()


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to start a server. `lives`: the (slot, generation) of each life that is expected; `closes`: whether it
    can say goodbye; `words`: what follows `python -m`, or a script; `prove`: only `make prove` starts it."""

    server: str
    start: str
    words: str
    lives: tuple[tuple[int, int], ...] = ((0, 1), (1, 1))
    play: Callable[[Server, int], None] = serve
    workers: int = 2
    closes: bool = True
    note: str = ""
    prove: bool = False

    @property
    def name(self) -> str:
        return f"{self.server}: {self.start}"


ONE = ((0, 1),)
TWO = ((0, 1), (1, 1))
TWO_AND_AGAIN = ((0, 1), (0, 2), (1, 1), (1, 2))
THREE = (*TWO, (2, 1))

UVICORN = "uvicorn shop:app --port {port}"
GUNICORN = "gunicorn shop:app -b 127.0.0.1:{port} --workers 2 --worker-tmp-dir /tmp --no-control-socket"
UVICORN_WORKER = f"{GUNICORN} -k uvicorn_worker.UvicornWorker"
GRANIAN = "granian --port {port} --interface asgi"
HYPERCORN = "hypercorn --bind 127.0.0.1:{port}"

MODES = [
    Mode("uvicorn", "one process", UVICORN, ONE, workers=1),
    Mode("uvicorn", "`--workers 2`", f"{UVICORN} --workers 2"),
    Mode("uvicorn", "`--workers 2`, SIGHUP", f"{UVICORN} --workers 2", TWO_AND_AGAIN, hang_up,
         note="the replacement has the slot of the old worker while both run"),
    Mode("uvicorn", "`--workers 2`, SIGTTIN, SIGTTOU", f"{UVICORN} --workers 2", THREE, one_more_one_less),
    Mode("uvicorn", "`--workers 2`, Ctrl-C", f"{UVICORN} --workers 2", TWO, press_ctrl_c),
    Mode("uvicorn", "`--workers 2`, Ctrl-C twice", f"{UVICORN} --workers 2", TWO, press_ctrl_c_twice, prove=True),
    Mode("uvicorn", "one process, Ctrl-C twice", UVICORN, ONE, press_ctrl_c_twice, workers=1, prove=True),
    Mode("uvicorn", "`--reload`, a file changes", f"{UVICORN} --reload", ((0, 1), (0, 2)), touch_a_file, workers=1),
    Mode("uvicorn", "`uvicorn.run(app)` in a script", "run_app.py", ONE, workers=1),
    Mode("uvicorn", '`uvicorn.run("m:app", workers=2)` in a script', "run_workers.py"),
    Mode("uvicorn", "`--loop uvloop --http httptools`", f"{UVICORN} --loop uvloop --http httptools", ONE, workers=1, prove=True),
    Mode("uvicorn", "`--loop asyncio --http h11`", f"{UVICORN} --loop asyncio --http h11", ONE, workers=1, prove=True),
    Mode("uvicorn", "`--lifespan off`", f"{UVICORN} --lifespan off --workers 2", prove=True),
    Mode("uvicorn", "`--factory`", "uvicorn shop:make --factory --port {port}", ONE, workers=1, prove=True),
    Mode("uvicorn", "an application without lifespan", "uvicorn bare:app --port {port} --workers 2", prove=True),
    Mode("uvicorn", "`--limit-max-requests 10`", f"{UVICORN} --workers 2 --limit-max-requests 10", (), wear_out),
    Mode("uvicorn", "`configure()` and `RequestLog`", "uvicorn explicit:app --port {port} --workers 2"),
    Mode("uvicorn", "`logship.auto` and `RequestLog`", "uvicorn both:app --port {port} --workers 2",
         note="requests are recorded once"),
    Mode("gunicorn", "`-k uvicorn_worker.UvicornWorker`", UVICORN_WORKER),
    Mode("gunicorn", "`-k uvicorn_worker.UvicornWorker --preload`", f"{UVICORN_WORKER} --preload", prove=True),
    Mode("gunicorn", "`-k uvicorn_worker.UvicornWorker`, SIGHUP", UVICORN_WORKER, TWO_AND_AGAIN, hang_up),
    Mode("gunicorn", "`-k uvicorn_worker.UvicornWorker`, SIGTTIN, SIGTTOU", UVICORN_WORKER, THREE, one_more_one_less, prove=True),
    Mode("gunicorn", "`-k asgi`", f"{GUNICORN} -k asgi"),
    Mode("gunicorn", "`-k asgi --preload`", f"{GUNICORN} -k asgi --preload"),
    Mode("gunicorn", "`-k asgi`, SIGHUP", f"{GUNICORN} -k asgi", TWO_AND_AGAIN, hang_up),
    Mode("gunicorn", "`-k asgi`, Ctrl-C", f"{GUNICORN} -k asgi", TWO, press_ctrl_c, prove=True),
    Mode("granian", "`--workers 2`", f"{GRANIAN} --workers 2 shop:app"),
    Mode("granian", "`--workers 2`, SIGHUP", f"{GRANIAN} --workers 2 shop:app", TWO_AND_AGAIN, hang_up),
    Mode("granian", "`--interface asginl` (no lifespan)", "granian --port {port} --interface asginl --workers 2 shop:app",
         prove=True),
    Mode("granian", "an application without lifespan", f"{GRANIAN} --workers 2 bare:app", prove=True),
    Mode("granian", "`configure()` and `RequestLog`", f"{GRANIAN} --workers 2 explicit:app", prove=True),
    Mode("hypercorn", "one worker", f"{HYPERCORN} shop:app", ONE, workers=1, prove=True),
    Mode("hypercorn", "`-w 2`", f"{HYPERCORN} -w 2 shop:app"),
    Mode("hypercorn", "`-w 2`, SIGHUP", f"{HYPERCORN} -w 2 shop:app", TWO_AND_AGAIN, hang_up),
    Mode("hypercorn", "an application without lifespan", f"{HYPERCORN} -w 2 bare:app", prove=True),
    Mode("hypercorn", "`configure()` and `RequestLog`", f"{HYPERCORN} -w 2 explicit:app", prove=True),
]  # fmt: skip


KILLED = [
    Mode("uvicorn", "one process, kill -9 and a new start", UVICORN, ((0, 1), (0, 2)), kill_one, workers=1),
    Mode("uvicorn", "`--workers 2`, kill -9 of one", f"{UVICORN} --workers 2", (), kill_one),
    Mode("gunicorn", "`-k uvicorn_worker.UvicornWorker`, kill -9 of one", UVICORN_WORKER, (), kill_one, prove=True),
    Mode("gunicorn", "`-k asgi`, kill -9 of one", f"{GUNICORN} -k asgi", (), kill_one),
    Mode("granian", "`--workers 2 --respawn-failed-workers`, kill -9 of one",
         f"{GRANIAN} --workers 2 --respawn-failed-workers shop:app", (), kill_one),
    Mode("hypercorn", "`-w 2`, kill -9 of one and a new start", f"{HYPERCORN} -w 2 shop:app", (), kill_one,
         note="hypercorn ends when a worker is killed; the next start reports it"),
]  # fmt: skip

FRAMEWORKS = [
    Mode("FastAPI", "a router with a prefix", "uvicorn frameworks:fast --port {port}", ONE, order, workers=1),
    Mode("Starlette", "a route in a mount", "uvicorn frameworks:star --port {port}", ONE, order, workers=1),
    Mode("Litestar", "a handler", "uvicorn frameworks:lite --port {port}", ONE, order, workers=1),
]


WRITE_DOCS = bool(os.environ.get("WRITE_DOCS"))
# The rows of the table that are compared: all of them before they are written.
MEASURED = [mode for mode in (*MODES, *KILLED) if PROVE or WRITE_DOCS or not mode.prove]


def parameters(modes: list[Mode]) -> list[object]:
    """The modes as parameters of a test."""
    return [pytest.param(mode, marks=pytest.mark.prove if mode.prove else ()) for mode in modes]


def runs_here(item: pytest.Item) -> bool:
    return PROVE or item.get_closest_marker("prove") is None


@dataclass(frozen=True, slots=True)
class Run:
    """A mode that was played through: what was asked, and what its file of events says."""

    server: Server

    def once(self) -> bool:
        return dict(self.server.requests()) == dict.fromkeys(self.server.asked, 1)

    def unbroken(self) -> bool:
        """Whether each life's events are numbered from 1 on, each number once."""
        lives: dict[str, list[int]] = {}
        for event in self.server.events():
            lives.setdefault(event["service.ephemeral_id"], []).append(event["event.sequence"])
        return all(sorted(numbers) == list(range(1, len(numbers) + 1)) for numbers in lives.values())

    def closed(self) -> bool:
        return {
            event["service.ephemeral_id"] for event in self.server.actions("worker-started")
        } <= self.server.closed()

    def slots(self) -> list[int]:
        return sorted({slot for slot, _ in self.server.lives()})


def play(mode: Mode, folder: Path) -> Run:
    """Play `mode` through and return what it left."""
    with Server(folder, mode.words) as server:
        server.ends_with_a_worker = mode.workers == 1 or mode.server == "hypercorn"
        mode.play(server, mode.workers)
        return Run(server)


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Run]]]:
    """What is asked for by the tests that were chosen, all begun at once, a few running at a time."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function) and runs_here(item)]
    given = [item.callspec.params.get("mode") for item in items if hasattr(item, "callspec")]
    chosen = [mode for mode in given if isinstance(mode, Mode)]
    if any(item.function is test_the_table_of_the_documentation_is_what_was_measured for item in items):
        chosen = [*MEASURED, *chosen]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        modes = {mode.name: mode for mode in chosen}.values()
        yield {mode.name: pool.submit(play, mode, tmp_path_factory.mktemp("server")) for mode in modes}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("mode", parameters(MODES), ids=lambda mode: mode.name)
def test_one_event_per_request_and_the_right_slots_and_a_goodbye(mode: Mode, runs: dict[str, Future[Run]]) -> None:
    run = runs[mode.name].result(timeout=110)
    assert run.once(), run.server.requests()
    assert run.unbroken()
    if mode.lives:
        assert tuple(run.server.lives()) == mode.lives
    assert run.closed() is mode.closes, run.server.said()
    started = run.server.actions("worker-started")
    assert {event.get("server.port") for event in started} == {run.server.port}, [e.get("server.address") for e in started]
    assert not run.server.actions("worker-lost")


@pytest.mark.parametrize("mode", parameters(KILLED), ids=lambda mode: mode.name)
def test_a_killed_worker_is_reported_with_its_request_and_its_successor_has_its_slot(
    mode: Mode, runs: dict[str, Future[Run]]
) -> None:
    run = runs[mode.name].result(timeout=110)
    server = run.server
    [lost] = server.actions("worker-lost")
    slot, generation = lost["logship.worker.slot"], lost["logship.worker.generation"]
    assert (slot, generation + 1) in server.lives()
    assert run.slots() == list(range(mode.workers))
    assert lost["logship.in_flight.ids"] == [KILLED_REQUEST]
    assert lost["logship.in_flight.requests"][0].startswith("GET /hang ")
    assert lost["event.reason"] == "requests_in_flight"
    assert lost["@timestamp"] >= max(event["@timestamp"] for event in server.events() if same_life(event, lost))
    assert run.once()
    assert run.unbroken()
    alive = {event["service.ephemeral_id"] for event in server.actions("worker-started")} - {
        lost["service.ephemeral_id"]
    }
    # hypercorn ends its other workers by a signal that they have no word for
    told = server.actions("worker-closed") + server.actions("worker-ended")
    assert alive <= {event["service.ephemeral_id"] for event in told}


@pytest.mark.parametrize("mode", FRAMEWORKS, ids=lambda mode: mode.name)
def test_a_framework_tells_the_whole_template_of_its_route(mode: Mode, runs: dict[str, Future[Run]]) -> None:
    run = runs[mode.name].result(timeout=110)
    assert run.once()
    assert {event["http.route"].replace(":int", "") for event in run.server.actions("http-request")} == {
        "/shop/orders/{number}"
    }


@pytest.mark.timeout(600)
def test_the_table_of_the_documentation_is_what_was_measured(runs: dict[str, Future[Run]]) -> None:
    measured = {mode.name: row(mode, runs[mode.name].result()) for mode in MEASURED}
    order = [mode.server for mode in MODES]
    modes = sorted((*MODES, *KILLED), key=lambda mode: order.index(mode.server))
    before, _, rest = DOC.read_text(encoding="utf-8").partition(BEGIN)
    written, _, after = rest.partition(END)
    if WRITE_DOCS:
        table = "\n".join([HEAD, *(measured[mode.name] for mode in modes)])
        DOC.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
        return
    head, rows = written.strip().splitlines()[:2], written.strip().splitlines()[2:]
    assert "\n".join(head) == HEAD
    assert len(rows) == len(modes)
    # Of a row that this run does not measure, only the place and the name are compared.
    named = [f"| {mode.server} | {mode.start} |" for mode in modes]
    assert [told for told, name in zip(rows, named, strict=True) if not told.startswith(name)] == []
    told = {mode.name: text for mode, text in zip(modes, rows, strict=True) if mode.name in measured}
    assert told == measured, "run this test with WRITE_DOCS=1 if the new table is right"


def row(mode: Mode, run: Run) -> str:
    """One line of the table in docs/servers.md."""
    generations = sorted({generation for _, generation in run.server.lives()})
    lost = run.server.actions("worker-lost")
    end = "crashed, reported with its request" if lost else "stopped" if run.closed() else "not reported"
    once = "yes" if run.once() else "no"
    # How often a worker that is worn out is replaced depends on the server's choice of workers.
    lives = "1, 2, ..." if mode.play is wear_out else shown(generations)
    return f"| {mode.server} | {mode.start} | {once} | {shown(run.slots())} | {lives} | {end} | {mode.note} |"


def shown(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def test_requests_that_ctrl_c_twice_cuts_off_are_accounted_for_and_the_worker_says_goodbye(tmp_path: Path) -> None:
    with Server(tmp_path, UVICORN) as server:
        server.wait_ready()
        _, connection = server.hang("cut-off")
        server.press_ctrl_c()
        time.sleep(0.5)
        server.press_ctrl_c()
        server.wait_ended()
        connection.close()
        server.start()
        server.wait_ready(started=2)
        until(lambda: "cut-off" in server.requests(), "the account of the request")
        server.stop()
        [event] = [one for one in server.actions("http-request") if one["http.request.id"] == "cut-off"]
        assert event["event.reason"] == "cancelled"
        assert event["service.ephemeral_id"] in {one["service.ephemeral_id"] for one in server.actions("worker-closed")}
        assert not server.actions("worker-lost")


def test_two_instances_of_a_service_share_a_state_directory_and_nothing_else(tmp_path: Path) -> None:
    words = f"{UVICORN} --workers 2"
    with Server(tmp_path / "one", words) as one, Server(tmp_path / "two", words, beside=one) as two:
        until(lambda: len(one.actions("worker-started")) == 4, "four workers")
        pid, connection = one.hang(KILLED_REQUEST)
        two.ask_many(REQUESTS)
        os.kill(pid, signal.SIGKILL)
        until(lambda: len(one.actions("worker-started")) == 5, "the successor")
        connection.close()
        until(lambda: one.actions("worker-lost"), "worker-lost")
        one.stop()
        two.stop()
        [lost] = one.actions("worker-lost")
        first = {name(event) for event in one.events() if f"/{one.port}/" in name(event)}
        second = {name(event) for event in one.events() if f"/{two.port}/" in name(event)}
        assert (
            {name.rpartition("/")[2] for name in first} == {name.rpartition("/")[2] for name in second} == {"w0", "w1"}
        )
        assert name(lost) in first
        assert all(event["logship.worker.generation"] == 1 for event in one.events() if name(event) in second)
        assert one.requests().keys() >= set(two.asked)
        assert set(one.requests().values()) == {1}


def test_two_services_share_a_state_directory_and_nobody_adopts_the_other(tmp_path: Path) -> None:
    words = f"{UVICORN} --workers 2"
    with (
        Server(tmp_path / "shop", words) as shop,
        Server(tmp_path / "depot", words, beside=shop, LOGSHIP_SERVICE="depot", LOGSHIP_INSTANCE="yard") as depot,
    ):
        until(lambda: len(shop.actions("worker-started")) == 4, "four workers")
        _, connection = shop.hang(KILLED_REQUEST)
        shop.end()
        connection.close()
        depot.ask_many(REQUESTS)
        time.sleep(3.0)  # an adopter looks every two seconds
        assert not shop.actions("worker-lost")
        assert len(list((shop.state / "journals").iterdir())) == 4
        shop.start()
        until(lambda: shop.actions("worker-lost"), "worker-lost")
        depot.stop()
        shop.stop()
        assert {event["service.name"] for event in shop.actions("worker-lost")} == {"shop"}
        assert {slot(event) for event in shop.actions("worker-started") if event["service.name"] == "depot"} == {0, 1}
        assert {
            name(event).split("/")[1] for event in shop.events() if event["service.name"] == "depot" and name(event)
        } == {"yard"}


LIFE = """
import os, sys, logship
from logship.worker import registry
from logship.worker.server_info import ServerInfo
logship.configure(agent=sys.argv[1])
registry.current().serve(ServerInfo("test", sys.argv[2], 1, None, True))
logship.get_logger().info("alive", pid=os.getpid())
os._exit(0)
"""


def test_two_lives_with_the_same_pid_slot_and_generation_lose_nothing(tmp_path: Path) -> None:
    """As in containers that share a state directory: in each, the service is process 1 and its worker another."""
    namespace = ["unshare", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a pid namespace")
    out = tmp_path / "events.jsonl"
    environment = {"LOGSHIP_STATE_DIR": str(tmp_path / "state"), "LOGSHIP_SERVICE": "shop", "PYTHONPATH": str(ROOT)}
    for instance in ("one", "two"):  # an agent that nobody answers for: everything stays in the journals
        words = [*namespace, sys.executable, "-c", LIFE, "127.0.0.1:1", instance]
        subprocess.run(words, env=environment, check=True, timeout=30)
    journals = [path for path in (tmp_path / "state" / "journals").iterdir() if not path.name.startswith(".")]
    found = [identity.read(journal) for journal in journals]
    assert len({(one.facts.pid, one.slot, one.cells[identity.Cell.GENERATION]) for one in found}) == 1
    assert len({one.incarnation for one in found}) == 2
    adopter = subprocess.Popen(
        [sys.executable, "-c", ADOPTER, "127.0.0.1:1", str(out)], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: len(alive(out)) == 2, "the events of both lives")
    finally:
        adopter.kill()
        adopter.wait()
    assert {event["service.node.name"].split("/")[1] for event in alive(out)} == {"one", "two"}
    assert len({event["event.id"] for event in alive(out)}) == 2


# The agent is the same, or nobody would be adopted; what it would be sent goes to a file.
ADOPTER = """
import sys, time
from logship.worker import assemble, configure, registry
from logship.worker.shipping import render, sink
assemble._outlet = lambda settings, feed: sink.LineSink(feed, sys.argv[2], render.json_line)
configure.configure(agent=sys.argv[1])
registry.current()
time.sleep(60)
"""


def alive(out: Path) -> list[Event]:
    if not out.exists():
        return []
    events = [orjson.loads(text) for text in out.read_bytes().splitlines()]
    return [event for event in events if event["message"] == "alive"]


def name(event: Event) -> str:
    return str(event.get("service.node.name", ""))


def same_life(event: Event, other: Event) -> bool:
    return bool(event["service.ephemeral_id"] == other["service.ephemeral_id"])


def slot(event: Event) -> int:
    return int(event["logship.worker.slot"])


def test_a_lifespan_that_fails_stops_a_server_that_insists_on_it(tmp_path: Path) -> None:
    with Server(tmp_path, "uvicorn broken:app --port {port} --lifespan on") as server:
        server.wait_ended()
        assert server.process is not None
        assert server.process.returncode == 3
        assert "DATABASE_URL is missing" in server.said()


def test_a_worker_that_serves_on_one_port_still_is_not_closed(tmp_path: Path) -> None:
    with Server(tmp_path, "two_servers.py") as server:
        server.wait_ready()
        until(lambda: "one has stopped" in server.said(), "the end of the first server")
        assert server.ask("/still") == (200, b"ok")
        server.process.kill()  # type: ignore[union-attr]
        server.wait_ended()
        assert server.closed() == set()
        (journal,) = (server.state / "journals").iterdir()
        assert identity.read(journal).cells[identity.Cell.CLOSING] == 0


def test_gunicorn_keeps_its_numbers_through_an_upgrade(tmp_path: Path) -> None:
    # By its script: `python -m gunicorn` starts a new master that finds gunicorn/http in place of http.
    words = f"{Path(sys.executable).parent}/gunicorn shop:app -k asgi --workers 2 --bind 127.0.0.1:{{port}} --pid {tmp_path}/pid"
    with Server(tmp_path, words) as server:
        server.wait_ready(2)
        server.kill(signal.SIGUSR2)
        until(lambda: len(server.actions("worker-started")) == 4, "the workers of the new master")
        server.stop()

        def slots_of_new() -> set[int]:
            server.ask_many(8)
            ids = set(server.asked[-8:])
            found = [one for one in server.actions("http-request") if one["http.request.id"] in ids]
            return {event["logship.worker.slot"] for event in found}

        until(lambda: (slots := slots_of_new()) and slots <= {0, 1}, "the numbers 0 and 1")
        # The new master takes over the file's name when it notices, within a second, that the old master has ended.
        until((tmp_path / "pid").exists, "the pid file of the new master")
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
        until(lambda: len(server.closed()) == 4, "the end of the new workers")
