"""What the machine does to a worker: full disks, read-only mounts, network file systems, clocks that jump."""

import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from logship.errors import StateUnusable
from logship.settings import load
from logship.state import end_report, home, locks, orphans
from logship.state.identity import Facts
from logship.worker import assemble
from logship.worker.pipeline import Pipeline
from logship.worker.server_info import ServerInfo
from tests import needs
from tests.worker.far_agent import AwakeAgent, entries
from tests.worker.serving import until

ROOT = Path(__file__).parent.parent.parent
MIB = 2**20
Make = Callable[..., Pipeline]
Mount = Callable[[Path, str], Path]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts a tmpfs with options; skips the test, visibly, where that is not permitted."""
    mounted: list[Path] = []

    def make(path: Path, options: str) -> Path:
        path.mkdir(exist_ok=True)
        try:
            command = ["mount", "-t", "tmpfs", "-o", f"mode=0700,{options}", "none", str(path)]
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"a tmpfs cannot be mounted here ({error}); run as root")
        mounted.append(path)
        return path

    yield make
    for path in mounted:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def far() -> Iterator[AwakeAgent]:
    agent = AwakeAgent()
    yield agent
    agent.close()


@pytest.fixture
def a_pipeline(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes the pipeline of a worker as `configure` does, its state in the given folder."""
    monkeypatch.setattr(assemble, "_warned_in_memory", False)
    made: list[Pipeline] = []

    def make(agent: str, state: Path, **options: object) -> Pipeline:
        settings = {"agent": agent, "state_dir": state, "service": "shop", "console": "off", **options}
        made.append(assemble.make_pipeline(load(settings, {})))
        return made[-1]

    yield make
    for pipeline in made:
        assert pipeline.shipper is not None
        pipeline.shipper.end()
        if pipeline.journal.directory is not None:
            locks.release(pipeline.journal.directory / "lock")


def said(caplog: pytest.LogCaptureFixture, words: str) -> int:
    return sum(words in record.message for record in caplog.records)


def fill(path: Path, but_bytes: int) -> None:
    """Fill the file system at `path` up to `but_bytes`."""
    free = os.statvfs(path)
    with (path / "filler").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize - but_bytes)


# The disk is full.


def test_a_disk_that_fills_costs_counted_events_and_is_said_once_and_logging_goes_on_when_there_is_room(
    a_pipeline: Make, far: AwakeAgent, mount: Mount, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = mount(tmp_path / "disk", "size=16m")
    far.answer = lambda peer, frame: None
    pipeline = a_pipeline(far.address, disk)
    fill(disk, 2 * MIB)
    kept = 0
    refused = 0
    while refused < 50:
        if pipeline.record({"message": f"event {kept}", "labels": {"filler": "x" * 10_000}}):
            kept += 1
        else:
            refused += 1
    until(lambda: said(caplog, "no room for the journal"), "the warning")
    assert pipeline.journal.identity.dropped()["segment_late"] == refused
    (disk / "filler").unlink()
    until(lambda: said(caplog, "there is room for the journal"), "the end of it")
    while not pipeline.record({"message": "after"}):
        refused += 1
    assert said(caplog, "no room for the journal") == 1, "once, not every second"
    far.answer = lambda peer, frame: peer.acknowledge(frame.chunk)
    for peer in far.peers:
        peer.socket.shutdown(2)
    assert pipeline.shipper is not None
    assert pipeline.shipper.flush(30)
    assert set(far.stored()) == {"after", *(f"event {number}" for number in range(kept))}
    fields = {one["event.sequence"]: one for frame in far.got for _, one in entries(frame.body)}
    assert max(fields) == kept + 1 + refused == len(fields) + sum(pipeline.journal.identity.dropped().values())


def test_a_disk_that_is_full_from_the_start_leaves_a_journal_in_memory_that_ships(
    a_pipeline: Make, far: AwakeAgent, mount: Mount, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = mount(tmp_path / "disk", "size=2m")
    fill(disk, 64 * 1024)
    pipeline = a_pipeline(far.address, disk)
    assert pipeline.journal.directory is None
    assert said(caplog, "No space left on device") == 1
    pipeline.serve(ServerInfo())
    pipeline.record({"message": "one"})
    assert pipeline.shipper is not None
    assert pipeline.shipper.flush(20)
    assert far.stored()[-1] == "one"
    assert os.listdir(disk / "journals") == [], "what was half made is gone"


def test_an_application_on_a_full_disk_never_sees_an_exception(mount: Mount, tmp_path: Path) -> None:
    disk = mount(tmp_path / "disk", "size=12m")
    done = run(
        f"""
        import logging, os, shutil, logship
        logship.configure(agent="127.0.0.1:9", state_dir={str(disk)!r}, console="off")
        log = logship.get_logger()
        log.info("first")
        with open({str(disk / "filler")!r}, "wb") as file:
            free = os.statvfs({str(disk)!r})
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize)
        for number in range(3000):
            log.info("event", filler="x" * 10_000)
            logging.getLogger("shop").warning("event %d", number)
        from logship.worker import registry
        pipeline = registry.existing()
        print(pipeline.journal.cells[0], sum(pipeline.journal.identity.dropped().values()), pipeline.journal.pending_events())
        logship.shutdown(0)
        """
    )
    sequence, dropped, pending = map(int, done.stdout.split())
    assert sequence == 6001
    assert dropped > 1000
    assert pending == sequence - dropped
    assert done.stderr.count("no room for the journal") == 1
    assert "Traceback" not in done.stderr


def test_a_file_of_events_on_a_full_disk_gets_every_line_whole_and_once_when_there_is_room(
    a_pipeline: Make, mount: Mount, tmp_path: Path
) -> None:
    disk = mount(tmp_path / "disk", "size=1m")
    fill(disk, 100_000)
    pipeline = a_pipeline(f"file:{disk / 'out.jsonl'}", tmp_path / "state")
    for number in range(300):
        assert pipeline.record({"message": str(number), "labels": {"filler": "x" * 1000}})
    assert pipeline.shipper is not None
    assert not pipeline.shipper.flush(0.5)
    (disk / "filler").unlink()
    assert pipeline.shipper.flush(20)
    lines = (disk / "out.jsonl").read_bytes().splitlines()
    assert [orjson.loads(text)["message"] for text in lines] == [str(number) for number in range(300)]


@pytest.mark.parametrize("end", ["logship.shutdown(0)", "pass", "os.kill(os.getpid(), 9)"])
def test_what_a_full_disk_cost_is_reported_however_the_life_ended(mount: Mount, tmp_path: Path, end: str) -> None:
    disk = mount(tmp_path / "disk", "size=8m")
    script = f"""
        import os, logship
        logship.configure(agent="127.0.0.1:9", state_dir={str(disk / "state")!r}, console="off", service="shop")
        log = logship.get_logger()
        for number in range(15_000):
            log.info("event", filler="x" * 500)
        {end}
    """
    words = [sys.executable, "-c", textwrap.dedent(script)]
    subprocess.run(words, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL, check=False)
    (name,) = home.Home(disk / "state").incarnations()
    orphan = orphans.adopt(disk / "state" / "journals" / name)
    assert orphan is not None
    shipped = [one for batch, _ in orphan.pending() for _, one in entries(b"".join(batch))]
    packed = end_report.report_of(orphan.end(), Facts())
    orphan.remove()
    last = entries(packed)[0][1] if packed else shipped[-1]
    assert last["event.action"].startswith("worker-")
    assert last["logship.dropped.segment_late"] > 2000
    assert last["event.sequence"] == len(shipped) + bool(packed) + last["logship.dropped.segment_late"]


# No state directory.


def test_a_read_only_state_directory_is_said_once_and_events_are_shipped_from_memory(
    a_pipeline: Make, far: AwakeAgent, mount: Mount, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = mount(tmp_path / "disk", "ro,size=1m")
    pipeline = a_pipeline(far.address, disk / "state")
    again = a_pipeline(far.address, disk / "state")
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    for words in (str(disk / "state"), "Read-only file system", "LOGSHIP_STATE_DIR", "in memory", "lost"):
        assert words in warning.message
    for one in (pipeline, again):
        one.serve(ServerInfo("uvicorn", "8000"))
        for number in range(100):
            assert one.record({"message": f"event {number}", "labels": {"filler": "x" * 50_000}})
        assert one.shipper is not None
        assert one.shipper.flush(20)
    fields = [one for frame in far.got for _, one in entries(frame.body)]
    started = [one for one in fields if one.get("event.action") == "worker-started"]
    assert [one["logship.journal.durable"] for one in started] == [False, False]
    assert all("in memory" in one["message"] and "Read-only" in one["message"] for one in started)
    assert len(fields) == 2 * 101
    assert list(disk.iterdir()) == []


def test_a_service_on_a_read_only_state_directory_runs(mount: Mount, tmp_path: Path) -> None:
    disk = mount(tmp_path / "disk", "ro,size=1m")
    out = tmp_path / "out.jsonl"
    done = run(
        f"""
        import logship
        logship.configure(agent="file:{out}", state_dir={str(disk / "state")!r}, console="off")
        log = logship.get_logger()
        for number in range(1000):
            log.info("event", number=number)
        assert logship.flush(10)
        """
    )
    assert done.stderr.count("LOGSHIP_STATE_DIR") == 1, done.stderr
    assert len(out.read_bytes().splitlines()) >= 1000


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
server:/export /data nfs4 rw 0 0
/dev/sdb1 /data/local xfs rw 0 0
//host/share /mnt/my\\040share cifs rw 0 0
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/logship", "ext4"),
        ("/run/logship", "tmpfs"),
        ("/data/state", "nfs4"),
        ("/data", "nfs4"),
        ("/database", "ext4"),
        ("/data/local/state", "xfs"),
        ("/mnt/my share/state", "cifs"),
    ],
)
def test_the_file_system_of_a_path_is_the_one_mounted_nearest_to_it(path: str, kind: str, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert home.file_system(Path(path), mounts) == kind
    assert home.file_system(Path(path), tmp_path / "no such file") == ""


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs", "lustre"])
def test_a_state_directory_on_a_network_file_system_is_refused_with_the_way_out(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "file_system", lambda path: kind)
    with pytest.raises(StateUnusable, match=rf"network file system \({kind}\).*LOGSHIP_STATE_DIR.*local"):
        home.open_home(tmp_path / "state")


def test_without_any_descriptor_left_a_log_call_raises_nothing_and_later_ones_are_kept(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = run(
        f"""
        import os, resource, logship
        logship.configure(agent="file:{out}", state_dir={str(tmp_path / "state")!r}, console="off")
        log = logship.get_logger()
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        held = []
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        log.info("while there is none")
        for one in held:
            os.close(one)
        log.info("afterwards")
        assert logship.flush(10)
        """
    )
    assert "afterwards" in out.read_text()
    assert "Too many open files" in done.stderr


# The clock jumps.


def libfaketime() -> str:
    found = [path for root in ("/usr/lib", "/usr/local/lib") for path in Path(root).rglob("libfaketime.so.1")]
    if not found:
        needs.lacks("faketime", "libfaketime is not on this machine (Debian: apt-get install faketime)")
    return str(found[0])


def test_when_the_clock_is_set_back_and_forward_the_order_and_the_durations_hold(tmp_path: Path) -> None:
    clock, out = tmp_path / "clock", tmp_path / "out.jsonl"
    clock.write_text("+0")
    faked = {"LD_PRELOAD": libfaketime(), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    run(
        f"""
        import asyncio, os, select, time
        time.sleep = lambda seconds: select.select([], [], [], seconds)  # libfaketime's own fails beside a true monotonic clock
        import logship
        logship.configure(agent="file:{out}", state_dir={str(tmp_path / "state")!r}, console="off")
        log = logship.get_logger()

        def jump(offset):
            with open({str(clock) + ".new"!r}, "w") as file:
                file.write(offset + chr(10))
            os.rename({str(clock) + ".new"!r}, {str(clock)!r})

        async def app(scope, receive, send):
            jump(scope["path"][1:])
            await asyncio.sleep(0.01)
            log.info("in between")
            await send({{"type": "http.response.start", "status": 200, "headers": []}})
            await send({{"type": "http.response.body", "body": b"done"}})

        app = logship.RequestLog(app)

        async def ask(offset):
            scope = {{"type": "http", "http_version": "1.1", "method": "GET", "path": "/" + offset, "query_string": b"",
                     "scheme": "http", "headers": [], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000)}}
            async def receive():
                return {{"type": "http.request", "body": b"", "more_body": False}}
            async def send(message):
                pass
            await app(scope, receive, send)

        for offset in ("-2h", "+0", "-30d", "+400d", "+0"):
            asyncio.run(ask(offset))
            assert logship.flush(10), "deadlines are of the monotonic clock"
        """,
        **faked,
        DONT_FAKE_MONOTONIC="1",
    )
    events = [orjson.loads(text) for text in out.read_bytes().splitlines()]
    sequences = [event["event.sequence"] for event in events]
    assert sequences == list(range(1, len(events) + 1))
    requests = [event for event in events if event.get("event.action") == "http-request"]
    assert len(requests) == 5
    for event in requests:
        assert 10_000_000 <= event["event.duration"] < 20_000_000_000
        assert 0 <= event["logship.ttfb_ns"] <= event["event.duration"]
    times = [event["@timestamp"] for event in events]
    assert times != sorted(times), "the clock really jumped"


def run(script: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOGSHIP_")}
    words = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(
        words,
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done
