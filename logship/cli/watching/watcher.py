"""The rounds of `logship watch`: query, judge, print, remember, send."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from logship.cli.output import say, talk
from logship.cli.times import moment
from logship.cli.watching.memory_file import MemoryFile
from logship.cli.watching.outbox import Outbox
from logship.cli.watching.webhook import Webhook
from logship.errors import SourceError
from logship.forensics.incident import incident
from logship.forensics.watch.judge import judge
from logship.forensics.watch.memory import Memory, Notice
from logship.forensics.watch.notices import line
from logship.forensics.watch.window import window_of
from logship.search.kql import Node
from logship.search.query import Source
from logship.search.times import SECOND_NS
from logship.search.units import duration

# Events reach a store some seconds after their time, and Elasticsearch shows them after a refresh.
DELAY_NS = 10 * SECOND_NS
LONGEST_SLEEP_SECONDS = 60.0


@dataclass(slots=True)
class IncidentWatcher:
    """`open_source` is called in each round until it has returned a source; `where`: of which events."""

    open_source: Callable[[], Source]
    file: MemoryFile
    where: Node | None
    as_json: bool
    webhook: Webhook | None
    memory: Memory = field(init=False)
    outbox: Outbox | None = field(init=False)
    _source: Source | None = field(default=None, init=False)
    _said: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self.memory = self.file.load()
        self.outbox = Outbox(self.webhook, self.save) if self.webhook is not None else None
        if self.outbox is None and self.memory.outbox:
            self.memory = replace(self.memory, outbox=())

    def round(self, now_ns: int) -> int:
        """Report what is new; return the number of notices. SourceError if the source cannot be queried."""
        if self._source is None:
            self._source = self.open_source()
        until_ns = max(now_ns - DELAY_NS, self.memory.round_ns)
        window, baseline = window_of(self.memory, until_ns, self.where)
        findings = incident(self._source, window, until_ns, baseline).findings
        memory, notices = judge(self.memory, findings, until_ns)
        waiting = memory.outbox + tuple(notices) if self.outbox is not None else ()
        for notice in notices:
            say(self._shown(notice))
        sys.stdout.flush()
        self.memory = replace(memory, outbox=waiting)
        self.save(self.memory)
        self.deliver()
        return len(notices)

    def deliver(self) -> None:
        """Send the notices that wait for the webhook, if it is time."""
        if self.outbox is not None:
            self.memory = self.outbox.deliver(self.memory)

    def save(self, memory: Memory) -> None:
        """Write the memory; a full disk is reported once and does not end the watch."""
        try:
            self.file.save(memory)
            self._said.discard("memory")
        except OSError as error:
            self._say_once("memory", f"warning: cannot write {self.file.path}: {error.strerror}; a restart would report again")

    def run(self, every_ns: int) -> None:
        """Do rounds without an end. A source that is unreachable is reported once."""
        while True:
            began = time.monotonic()
            try:
                self.round(time.time_ns())
                if "source" in self._said:
                    talk("the source is reachable again")
                    self._said.discard("source")
            except SourceError as error:
                self._say_once("source", f"{error}; retrying every {duration(every_ns)}")
            took = time.monotonic() - began
            if took > every_ns / SECOND_NS:
                self._say_once("slow", f"a round took {took:.0f} s, which is longer than --every")
            self._wait_until(began + every_ns / SECOND_NS)

    def _wait_until(self, end: float) -> None:
        while (left := end - time.monotonic()) > 0:
            self.deliver()
            waiting = self.outbox is not None and bool(self.memory.outbox)
            pause = max(0.05, self.outbox.next_try - time.monotonic()) if waiting and self.outbox else LONGEST_SLEEP_SECONDS
            time.sleep(max(0.0, min(left, pause)))

    def _shown(self, notice: Notice) -> str:
        return json.dumps(notice.as_json()) if self.as_json else line(notice, lambda ns: moment(ns)[:19])

    def _say_once(self, about: str, sentence: str) -> None:
        if about not in self._said:
            talk(sentence)
        self._said.add(about)
