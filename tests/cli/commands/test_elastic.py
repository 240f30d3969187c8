"""The commands that change an Elasticsearch, as people type them, against the real one."""

import json
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from logship.cli.commands.dead_letter import dead_letter
from logship.cli.commands.replay import replay
from logship.cli.commands.setup import setup
from logship.doctor.check import Check
from logship.doctor.elasticsearch import follow
from logship.elastic import chunks, mapping
from logship.elastic.alerts import ALERTS
from logship.errors import LogshipError, QuestionError, SourceError
from logship.event.entry import TAG, pack
from logship.search.query import Record
from logship.store.write.store import Store
from tests.elastic import kibana as stand_in
from tests.elastic.node import Server
from tests.elastic.test_chunks import made
from tests.elastic.test_replay import BEGAN_NS, LIFE, record
from tests.elastic.test_setup import told
from tests.pipelines import agent
from tests.proofs.scene import free_port, until
from tests.proofs.sender import Sender

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = pytest.mark.timeout(300)

COMMANDS = (setup, replay, dead_letter)
BY_NAME: dict[str | None, click.Command] = {command.name: command for command in COMMANDS}
EVENTS = 2500
FILE = Path(__file__).parents[3] / "kibana/logship.ndjson"


@dataclass
class Said:
    """How a command ended: its status, or the error that `cli/main.py` would tell; and what it said."""

    status: int
    out: str
    err: str
    error: LogshipError | None


@pytest.fixture
def around(elastic: Server, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of somebody who uses this server; the directory in which commands run."""
    for name in ("url", "user", "password", "ca_file"):
        if getattr(elastic, name):
            monkeypatch.setenv(f"LOGSHIP_ELASTIC_{name.upper()}", getattr(elastic, name))
    monkeypatch.setenv("LOGSHIP_ELASTIC_NAMESPACE", namespace)
    monkeypatch.setenv("LOGSHIP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(*words: str | Path) -> Said:
    """Run `logship` with these words."""
    name, *rest = map(str, words)
    ran = CliRunner().invoke(BY_NAME[name], rest, standalone_mode=False)
    error = ran.exception if isinstance(ran.exception, LogshipError) else None
    if ran.exception is not None and error is None:
        raise ran.exception
    return Said(ran.return_value or 0, ran.stdout, ran.stderr, error)


def store(folder: Path, events: int) -> None:
    """A store of this machine with some events."""
    written = Store(folder)
    rows = [
        (BEGAN_NS + number, {k: v for k, v in record(number).items() if k != "@timestamp"}) for number in range(events)
    ]
    for first in range(0, events, 1000):
        written.append(rows[first : first + 1000])
    written.close()


def test_every_command_says_what_it_is_for() -> None:
    assert list(BY_NAME) == ["setup", "replay", "dead-letter"]
    for command in COMMANDS:
        assert command.get_short_help_str(100)
        assert all(one.help for one in command.params if isinstance(one, click.Option))


@pytest.mark.alone
def test_setup_shows_its_plan_asks_and_is_done_once(around: Path, elastic: Server) -> None:
    component = f"/_component_template/{mapping.MAPPINGS}"
    elastic.must("PUT", component, mapping.component({"mappings": {"properties": {}}}))
    shown = typed("setup", "elastic", "--dry-run")
    assert (shown.status, shown.error) == (0, None)
    assert re.search(rf"(?m)^  change  _component_template/{mapping.MAPPINGS} ", shown.out)
    assert isinstance(typed("setup", "elastic").error, QuestionError)  # nobody to ask
    assert elastic.must("GET", component)["component_templates"][0]["component_template"]["template"]["mappings"] == {
        "properties": {}
    }
    done = typed("setup", "elastic", "--yes")
    assert done.status == 0
    assert f"done: _component_template/{mapping.MAPPINGS}" in done.err
    again = typed("setup", "elastic")
    assert (again.status, again.error) == (0, None)
    assert "everything is up to date" in again.err
    assert "change" not in again.out


@pytest.mark.alone
def test_setup_brings_dashboards_where_kibana_is_named(around: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_in.running() as kibana:
        monkeypatch.setenv("LOGSHIP_KIBANA_URL", kibana.url)
        missing = typed("setup", "elastic", "--yes", "--dashboards", "none.ndjson")
        assert "name your copy with --dashboards" in str(missing.error)
        assert typed("setup", "elastic", "--yes").status == 0
        assert len(kibana.objects) > 20
        assert "everything is up to date" in typed("setup", "elastic", "--dashboards", FILE).err
        assert kibana.rules == {}
        planned = typed("setup", "elastic", "--alerts", "--dry-run")
        assert planned.out.count("does not exist yet") == len(ALERTS)
        assert kibana.rules == {}
        assert typed("setup", "elastic", "--alerts", "--yes").status == 0
        assert len(kibana.rules) == len(ALERTS)
        assert "everything is up to date" in typed("setup", "elastic", "--alerts").err


def test_a_store_an_export_and_dead_letters_are_replayed(around: Path, elastic: Server, namespace: str) -> None:
    stream = mapping.stream(namespace)
    store(around / "state/store", EVENTS)
    first = typed("replay", "--to", "elastic")
    assert (first.status, first.error) == (0, None)
    assert f"{EVENTS:,} new, 0 already stored, 0 refused" in first.err
    assert elastic.count(stream) == EVENTS
    more = [*map(record, range(EVENTS - 10, EVENTS + 10)), record(EVENTS + 10, labels="no map\x1b[31m")]
    (around / "export.ndjson").write_text("".join(json.dumps(one) + "\n" for one in more))
    second = typed("replay", "export.ndjson", "--to", "elastic")
    assert second.status == 1
    assert "10 new, 10 already stored, 1 refused" in second.err
    assert "1 refused: " in second.err
    assert "\x1b" not in second.err
    dead = around / "logship-refused.ndjson"
    assert stat.S_IMODE(dead.stat().st_mode) == 0o600
    same = typed("replay", dead, "--to", "elastic")
    assert "name another --dead-letters" in str(same.error)
    dead.write_text(dead.read_text().replace('"no map\\u001b[31m"', "{}"))
    mended = typed("replay", dead, "--to", "elastic", "--dead-letters", "others.ndjson")
    assert (mended.status, "1 new" in mended.err) == (0, True)
    assert elastic.count(stream) == EVENTS + 11


def test_what_cannot_be_replayed_is_said(around: Path) -> None:
    (around / "x.parquet").write_bytes(b"PAR1....")
    assert "is Parquet: export NDJSON" in str(typed("replay", "x.parquet", "--to", "elastic").error)
    (around / "none").mkdir()
    assert isinstance(typed("replay", "none", "--to", "elastic").error, SourceError)


def chunk_file(path: Path, numbers: range, **more: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [pack(BEGAN_NS + one, {"event.id": f"{LIFE}-{one:012d}", "event.sequence": one, **more}) for one in numbers]
    path.write_bytes(made(b"".join(parts), tag="" if path.parent.name == chunks.REJECTED else "logship.events"))


def test_what_fluent_bit_gave_up_is_shown_with_the_reason_and_sent_again(
    around: Path, elastic: Server, namespace: str
) -> None:
    rejected = around / "flb/rejected/logship.events_500_elasticsearch_7f00.flb"
    refused = around / "flb/rejected/logship.events_500_elasticsearch_7f01.flb"
    left = around / "flb/logship_tcp/1-2.3.flb"
    chunk_file(rejected, range(100))
    chunk_file(refused, range(100, 110), labels="no map")
    chunk_file(left, range(50, 60))
    shown = typed("dead-letter", "flb")
    assert shown.status == 1
    assert f"{rejected.relative_to(around)}: 100 records of logship.events, 2026-" in shown.out
    assert "not delivered by the output elasticsearch" in shown.out
    assert "not yet delivered" in shown.out
    assert "--remove needs --send" in str(typed("dead-letter", "flb", "--remove").error)
    sent = typed("dead-letter", "flb", "--send", "--remove")
    assert sent.status == 1
    assert "10 refused: " in sent.err
    assert "[labels]" in sent.err
    assert elastic.count(mapping.stream(namespace)) == 100
    assert [path.exists() for path in (rejected, refused, left)] == [False, True, True]
    assert typed("dead-letter", around / "empty").error is not None


@agent.needed
def test_what_the_real_one_gave_up_is_sent_again(around: Path, elastic: Server, namespace: str) -> None:
    impatient = around / "impatient.yaml"
    impatient.write_text(agent.CONFIG.read_text().replace("retry_limit: 3000", "retry_limit: 1"))
    nowhere = {"FLB_TO_ELASTICSEARCH": TAG, "ES_PORT": str(free_port()), "ES_USER": ""}
    rejected = around / "storage/rejected"
    with agent.Agent(around, nowhere, impatient) as fluent_bit:
        fluent_bit.wait_ready()
        with Sender(fluent_bit.port) as sender:
            some = [pack(BEGAN_NS + one, {"event.id": f"{LIFE}-{one:012d}"}) for one in range(100)]
            assert sender.send(TAG, some) == sender.acknowledged()
        until(lambda: any(path.stat().st_size for path in rejected.glob("*.flb")), fluent_bit.said)
        time.sleep(0.5)
    sent = typed("dead-letter", "storage", "--send", "--remove")
    assert "not delivered by the output elasticsearch" in sent.out
    assert elastic.count(mapping.stream(namespace)) == 100
    assert list(rejected.glob("*.flb")) == []


def test_the_doctor_follows_one_event_and_names_the_broken_hop(elastic: Server, namespace: str) -> None:
    settings, stream = told(elastic, namespace), mapping.stream(namespace)

    def deliver(ns: int, event: Record) -> None:
        elastic.create(stream, [event | {"@timestamp": f"2026-11-21T11:58:51.{ns % 10**9:09d}Z"}])

    def nobody(ns: int, event: Record) -> None:
        raise SourceError("127.0.0.1:24224: Connection refused")

    def marks(checks: Iterator[Check]) -> list[tuple[str, str]]:
        return [(check.mark, check.what) for check in checks]

    assert marks(follow(settings, deliver))[-1] == ("look", "agent to elasticsearch")  # its time was changed on the way
    broken = [("good", "elasticsearch"), ("good", "templates")]
    assert marks(follow(settings, nobody)) == [*broken, ("wrong", "worker to agent")]
    swallowed = marks(follow(settings, lambda ns, event: None, wait_seconds=0.5))
    assert swallowed == [*broken, ("good", "worker to agent"), ("wrong", "agent to elasticsearch")]
    away = told(Server(f"http://127.0.0.1:{free_port()}"), namespace)
    assert marks(follow(away, nobody)) == [("wrong", "elasticsearch")]
