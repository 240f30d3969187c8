"""Commands about logship itself: how it is set up, what is wrong, and what it looks like at work."""

import asyncio
import contextlib
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from logship.cli.show import Column, Form, form_options, plain, show, talk
from logship.cli.source import PLACES, Forward, collector_url, damage_of, listens, living_here, open_source
from logship.errors import LogshipError, SettingsError, SourceError, StateUnusable
from logship.search.units import duration, size
from logship.settings import Settings, host_and_port, load, table
from logship.wire.address import has_address

if TYPE_CHECKING:
    from logship.demo.outcome import Outcome
    from logship.search.query import Source

NOTHING = 1
SETTING = (
    Column("Setting", "environment"),
    Column("Value", "value", wrap=True, style=lambda _: ""),
    Column("From", "origin", keep=1),
    Column("Meaning", "sentence", wrap=True, style=lambda _: "dim"),
)
FINDING = (
    Column("", "mark"),
    Column("What", "what"),
    Column("Found", "found", wrap=True, style=lambda _: ""),
    Column("What to do", "advice", wrap=True, style=lambda _: "bold"),
)
# A journal that has more than this waiting is not being shipped, or not quickly enough.
BACKLOG_BYTES = 2**20
FREE_BYTES = 512 * 2**20
GROWTH_SECONDS = 1.0
# Somebody is there, and does not speak as we do.
ACCESS = "check LOGSHIP_AGENT, for TLS LOGSHIP_AGENT_CA_FILE, and whether it asks for LOGSHIP_AGENT_SHARED_KEY"
# Fluent Bit's own HTTP server, where it has one.
FLUENT_BIT_PORT = 2020


@click.command()
@form_options
def settings(form: Form | None) -> int:
    """Print every setting: value, where it came from, and what it means."""
    rows = [plain(row) for row in table(load())]
    show(rows, SETTING, form)
    if sys.stdout.isatty() and form is None:
        talk("as arguments of logship.configure() they are lower case, without LOGSHIP_")
    return 0


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print what makes SHELL complete commands, options and field names.

    bash: eval "$(logship completion bash)" in ~/.bashrc; zsh the same in ~/.zshrc; fish: logship completion fish >
    ~/.config/fish/completions/logship.fish"""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    root = click.get_current_context().find_root().command
    click.echo(made(root, {}, "logship", "_LOGSHIP_COMPLETE").source())
    return 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `mark`: good, look (works, but not as it might) or wrong."""

    mark: Literal["good", "look", "wrong"]
    what: str
    found: str
    advice: str = ""


@click.command()
@click.option(
    "--send", is_flag=True,
    help="Send one event through the agent, and follow it into Elasticsearch where LOGSHIP_ELASTIC_URL is set.",
)  # fmt: skip
@click.option(
    "--source", metavar=PLACES,
    help="Look at this store, collector or Elasticsearch. Default: the collector of this machine, else Elasticsearch where "
    "LOGSHIP_ELASTIC_URL is set, else the store.",
)  # fmt: skip
@form_options
def doctor(send: bool, source: str | None, form: Form | None) -> int:
    """Look at everything a worker and a collector need, and say what is wrong and what to do.

    It sees what this user sees in this environment: run it as the service runs. Status 1 if something is wrong."""
    settings = load({"source": source})
    if _elastic_is_the_source(settings):
        source = "elastic"
        settings = load({"source": source})
    checks = (
        lambda: _settings_sense(settings),
        lambda: _state(settings),
        lambda: _agent(settings, send and settings.source != "elastic"),
        lambda: _fluent_bit(settings),
        lambda: _journals(settings),
        lambda: _whole_way(settings, send),
        lambda: _asked(source, settings),
    )
    findings = [finding for check in checks for finding in _guarded(check)]
    show(map(plain, findings), FINDING, form)
    return NOTHING if any(finding.mark == "wrong" for finding in findings) else 0


def _elastic_is_the_source(settings: Settings) -> bool:
    """Whether events of this machine go to Elasticsearch, though no source is named: its address was given, and no collector
    of ours is running, which would be the agent in Fluent Bit's place."""
    if settings.source or "elastic_url" not in settings.origins:
        return False
    url = collector_url(settings)
    return not url or not listens(*host_and_port(url.removeprefix("http://"), "http"))


def _guarded(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """A check that cannot be made is a finding as well."""
    try:
        yield from check()
    except (LogshipError, OSError) as error:
        yield Finding("wrong", "check", str(error))


def _settings_sense(settings: Settings) -> Iterator[Finding]:
    given = [name for name, origin in settings.origins.items() if origin == "environment"]
    said = f"{len(given)} from the environment" if given else "all at their defaults"
    found = []
    if settings.journal_limit_bytes > settings.state_limit_bytes:
        found.append(("journal_limit_bytes is more than state_limit_bytes", "raise LOGSHIP_STATE_LIMIT_BYTES"))
    if settings.journal_limit_bytes < 4 * 2**20:
        found.append(("journal_limit_bytes is less than four segments of 1 MiB", "raise LOGSHIP_JOURNAL_LIMIT_BYTES"))
    if settings.sample_ratio == 0:
        found.append(("sample_ratio is 0: only errors and slow requests are kept", "raise LOGSHIP_SAMPLE_RATIO"))
    if settings.agent_user and not settings.agent_shared_key:
        found.append(("agent_user is never asked for without a shared key", "set LOGSHIP_AGENT_SHARED_KEY"))
    if settings.heartbeat_seconds > 25:
        found.append((f"with a heartbeat every {settings.heartbeat_seconds:g} s, workers are taken for silent after 25 s",
                      "lower LOGSHIP_HEARTBEAT_SECONDS to 10"))  # fmt: skip
    if settings.agent == "off":
        found.append(("agent is off: workers keep no events", "unset LOGSHIP_AGENT"))
    for what, advice in found:
        yield Finding("look", "settings", what, advice)
    if not found:
        yield Finding("good", "settings", said)


def _state(settings: Settings) -> Iterator[Finding]:
    from logship.state.home import NETWORK_FILE_SYSTEMS, Home, file_system

    path = Path(settings.state_dir)
    there = next(one for one in (path, *path.parents) if one.exists())
    kind = file_system(there)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "cannot be written by this user" if there.is_dir() else "is no directory"
        yield Finding("wrong", "state directory", f"{there} {why}",
                      "set LOGSHIP_STATE_DIR to a directory that can; until then journals live in memory")  # fmt: skip
        return
    try:
        Home(path).check()
    except StateUnusable as error:
        yield Finding("wrong", "state directory", str(error), "until then journals are in memory")
        return
    if kind in NETWORK_FILE_SYSTEMS:
        yield Finding("wrong", "state directory", f"{path} is on {kind}, where locks and mappings are not to be trusted",
                      "set LOGSHIP_STATE_DIR to a local disk; until then journals live in memory")  # fmt: skip
        return
    free = shutil.disk_usage(there).free
    note = ", which a restart of the machine empties" if kind in ("tmpfs", "ramfs") else ""
    found = f"{path} on {kind or 'a file system of unknown kind'}{note}, {size(free)} free"
    if free < FREE_BYTES:
        advice = "make room: a full disk makes workers drop events, and count them"
        yield Finding("look", "state directory", found, advice)
    else:
        yield Finding("good", "state directory", found)


def _agent(settings: Settings, send: bool) -> Iterator[Finding]:
    if not has_address(settings.agent):
        yield Finding("good", "agent", f"none: events go to {settings.agent}")
        return
    try:
        agent = Forward(settings.agent, settings)
    except SettingsError as error:
        yield Finding("wrong", "agent", str(error), "set LOGSHIP_AGENT")
        return
    except SourceError as error:
        advice = "start it: logship up, or Fluent Bit; until then events wait in the journals"
        yield Finding("wrong", "agent", str(error), advice if "efused" in str(error) else ACCESS)
        return
    with contextlib.closing(agent):
        if settings.agent_shared_key:
            yield Finding("good", "agent", f"{settings.agent} answers and knows the shared key")
        elif agent.says_first(0.3):
            yield Finding("wrong", "agent", f"{settings.agent} asks for a shared key", "set LOGSHIP_AGENT_SHARED_KEY")
            return
        else:
            yield Finding("good", "agent", f"{settings.agent} accepts connections")
        if send:
            talk(f"sending one event to {settings.agent}")
            began = time.monotonic()
            # Fluent Bit gives a record without an id that of the one before it, and Elasticsearch keeps only one of them.
            event = {"event.id": f"doctor-{uuid.uuid4().hex}", "event.dataset": "logship.doctor", "log.level": "info",
                     "message": "logship doctor was here"}  # fmt: skip
            try:
                agent.put([(time.time_ns(), event)])
            except SourceError as error:
                yield Finding("wrong", "acknowledgement", str(error), "is it `logship up` or Fluent Bit's forward input?")
                return
            took = duration((time.monotonic() - began) * 1e9)
            yield Finding("good", "acknowledgement", f"one event was acknowledged after {took}")


def _fluent_bit(settings: Settings) -> Iterator[Finding]:
    """What Fluent Bit says of itself, if its HTTP server is on; nothing where there is none."""
    import http.client

    import orjson

    host = settings.agent.rpartition("://")[2].rpartition(":")[0].strip("[]") or "127.0.0.1"
    if settings.agent.startswith(("unix:", "file:")) or settings.agent in ("stdout", "console", "off"):
        return
    connection = http.client.HTTPConnection(host, FLUENT_BIT_PORT, timeout=1.0)

    def ask(path: str) -> dict[str, dict[str, dict[str, float]]]:
        connection.request("GET", path)
        answer = orjson.loads(connection.getresponse().read())
        return answer if isinstance(answer, dict) else {}

    try:
        about, told = ask("/"), ask("/api/v1/metrics")
    except (OSError, http.client.HTTPException, ValueError):
        return
    finally:
        connection.close()
    if "fluent-bit" not in about:
        return
    version = about["fluent-bit"].get("version", "?")
    yield Finding("good", "Fluent Bit", f"version {version} on {host}:{FLUENT_BIT_PORT}")
    if not any(name.startswith("forward") for name in told.get("input", {})):
        yield Finding("wrong", "Fluent Bit", "it has no forward input", "add one, see docs/fluent-bit.md")
    for name, counters in told.get("output", {}).items():
        failed, dropped = counters.get("retries_failed", 0), counters.get("dropped_records", 0)
        if failed or dropped:
            lost = f"output {name} gave up {failed:,.0f} chunks and dropped {dropped:,.0f} records"
            yield Finding("wrong", "Fluent Bit", lost, "set retry_limit no_limits and storage.type filesystem")


def _journals(settings: Settings) -> Iterator[Finding]:
    """Who has a journal here, whose grows, and whose owner is gone."""
    from logship.state import aside
    from logship.state.identity import Cell
    from logship.state.journal_directory import size_bytes
    from logship.state.survey import survey

    if not Path(settings.state_dir).is_dir():
        yield Finding("look", "journals", "no worker has run with this state directory", "is it the service's?")
        return
    found, unreadable = survey(Path(settings.state_dir))
    for problem in unreadable:
        yield Finding("look", "journals", problem, "it is kept as it is; a newer logship may read it")
    for folder, (files, held_bytes) in aside.held(Path(settings.state_dir)).items():
        what = "records that the agent refused" if folder.name == "refused" else "journal segments with damage in them"
        yield Finding("look", "journals", f"{folder} holds {what}: {files} files, {size(held_bytes)}",
                      f"look at them, then move or delete them; beyond {size(aside.LIMIT_BYTES)} no more is kept")  # fmt: skip
    orphans = [one for one in found if one.owner is None]
    for one in orphans:
        who = f"{one.snapshot.facts.service} pid {one.snapshot.facts.pid}"
        yield Finding("look", "journals", f"nobody adopts the journal of {who} ({size(size_bytes(one.directory))}), "
                      f"whose agent was {one.snapshot.facts.agent}",
                      "start the service again, or a collector with: logship up --adopt")  # fmt: skip
    living = [one for one in found if one.owner is not None]

    def waiting() -> dict[str, int]:
        again, _ = survey(Path(settings.state_dir))
        cells = {one.snapshot.incarnation: one.snapshot.cells for one in again}
        return {name: cell[Cell.SEQUENCE] - cell[Cell.ACKNOWLEDGED] for name, cell in cells.items()}

    before = waiting()
    if living:
        time.sleep(GROWTH_SECONDS)
    after = waiting()
    for one in living:
        name, backlog = one.snapshot.incarnation, size_bytes(one.directory)
        grown = after.get(name, 0) - before.get(name, 0)
        if after.get(name, 0) > 1000 and grown > 0 and backlog > BACKLOG_BYTES:
            slot = f" w{one.snapshot.slot}" if one.snapshot.slot is not None else ""
            yield Finding("wrong", "journals", f"{one.snapshot.facts.service}{slot} (pid {one.owner}) has {after[name]:,} events "
                          f"waiting, {grown:,} more than a second ago",
                          f"its agent {one.snapshot.facts.agent} does not take them quickly enough")  # fmt: skip
    if not orphans and not unreadable:
        yield Finding("good", "journals", f"{len(living)} in use, none left behind")


def _whole_way(settings: Settings, send: bool) -> Iterator[Finding]:
    """One event from here through the agent into Elasticsearch, where that is the source."""
    if not send or settings.source != "elastic":
        return
    from logship.elastic.setup import doctor as follow

    def put(ns: int, event: dict[str, Any]) -> None:
        with contextlib.closing(Forward(settings.agent, settings)) as agent:
            agent.put([(ns, event)])

    yield from (Finding(*one) for one in follow(settings, put))


def _asked(given: str | None, settings: Settings) -> Iterator[Finding]:
    """Whether questions are answered, what the workers of the last quarter of an hour lack, and what was lost."""
    from logship.page.client import HttpSource
    from logship.search.query import Damageable, Query

    try:
        source = open_source(given)
        oldest_ns = source.oldest_ns()
    except SourceError as error:
        yield Finding("look", "source", str(error), "without it events can be collected, and not asked here")
        return
    url = "" if settings.source else collector_url(settings)
    where = settings.source or (url if isinstance(source, HttpSource) else settings.store_dir)
    if url and where != url:
        yield Finding("look", "source", f"no collector answers at {url}; its store is read", "start it: logship up")
    if oldest_ns is None:
        yield Finding("look", "source", f"{where} answers, and holds nothing", "start your service with: logship run")
        return
    yield Finding("good", "source", f"{where} answers; it begins {duration(time.time_ns() - oldest_ns)} ago")
    if isinstance(source, Damageable):
        source.count(Query())  # a store that nobody writes finds damage when it is read
        for one in source.set_aside():
            yield Finding("wrong", "store", damage_of(one), "the file is kept; replace it by a copy if there is one")
    yield from _workers(source, given)


def _workers(source: "Source", given: str | None) -> Iterator[Finding]:
    from logship.forensics.workers import workers
    from logship.search.kql import parse
    from logship.search.query import Query

    now_ns = time.time_ns()
    since_ns = now_ns - 15 * 60 * 10**9
    rows = workers(source, since_ns, now_ns)
    dropped = sum(row.dropped for row in rows)
    if dropped:
        told = f"{dropped:,} events were dropped in the last 15 minutes"
        yield Finding("wrong", "workers", told, "logship verify names reasons")
    lost = [row for row in rows if row.state == "lost"]
    if lost:
        nodes = ", ".join(row.node for row in lost)
        yield Finding("look", "workers", f"{nodes} died", "logship inflight names its requests")
    # uvicorn says a line when a worker starts: without it somebody has taken its loggers away.
    served = Query(parse("logship.server: uvicorn"), since_ns, now_ns)
    started = {one.id for one in source.incarnations(served) if one.first_ns > since_ns}
    own = Query(parse("log.logger: uvicorn*"), since_ns, now_ns)
    silent = started - {one.id for one in source.incarnations(own)} if started else set()
    if silent:
        yield Finding("look", "uvicorn", f"its own lines do not arrive from {len(silent)} of {len(started)} workers",
                      "a later dictConfig took its loggers: call logship.configure() after it, or set "
                      "disable_existing_loggers to False")  # fmt: skip
    running = [request for one in living_here(load({"source": given})) for request in one.requests]
    if rows and not lost and not dropped and not silent:
        yield Finding("good", "workers", f"{len(rows)} in the last 15 minutes, {len(running)} requests in flight here")


ACCOUNT = (
    Column("Worker", "node"),
    Column("Pid", "pid"),
    Column("Life", "generation"),
    Column("End", "state"),
    Column("Stored", "stored"),
    Column("Lost", "missing"),
    Column("Verdict", "sentence"),
)


@click.command()
@click.option("--seconds", type=click.FloatRange(min=3), help="End after so long and report; otherwise until Ctrl-C.")
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="Of the shop, under uvicorn.")
@click.option("--json", "form", flag_value="json", help="The report as one JSON object on stdout.")
def demo(seconds: float | None, workers: int, form: Form | None) -> int:
    """A shop under several workers, its traffic, and a worker killed with -9: see what is left of it.

    Status 1 if an event was lost."""
    from logship.demo.run import Demo

    shown = Demo(workers, seconds, lambda line: talk(line.replace("  logship ", f"  {_called()} ")))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(shown.run())
    outcome = shown.outcome
    if outcome is None:
        return 0
    _report(outcome, form)
    return 1 if outcome.lost else 0


def _called() -> str:
    """The command as it was called: from a clone it is not on the PATH."""
    command, found = Path(sys.argv[0]), shutil.which("logship")
    if command.name != "logship" or (found is not None and Path(found).samefile(command)):
        return "logship"
    return os.path.relpath(command)


def _report(outcome: "Outcome", form: Form | None) -> None:
    if form == "json":
        show([plain(outcome)], (), "json")
        return
    show([plain(verdict) for verdict in outcome.verdicts], ACCOUNT, form)
    talk(
        f"{outcome.asked} requests asked in {outcome.seconds:g} s; {outcome.emitted} events emitted, "
        f"{outcome.stored} stored, {outcome.dropped} dropped, {outcome.lost} lost"
    )
