"""Notices on their way to the webhook: kept until it accepts them, and sent again after a pause that grows."""

import time
from collections.abc import Callable
from dataclasses import replace

from logship.cli.output import talk
from logship.cli.watching.webhook import Webhook
from logship.forensics.watch.memory import Memory
from logship.forensics.watch.notices import body
from logship.search.times import rfc3339
from logship.search.units import plural

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 300.0
# Of a webhook that does not work for weeks the newest ones are kept.
LIMIT = 1_000


class Outbox:
    """Sends what is in `Memory.outbox`. `save` keeps the memory after each notice that was accepted: none is sent twice."""

    def __init__(self, webhook: Webhook, save: Callable[[Memory], object]) -> None:
        self._webhook, self._save = webhook, save
        self._failures = 0
        self.next_try = 0.0

    @property
    def failing(self) -> bool:
        """Whether the last notice was not accepted."""
        return self._failures > 0

    def deliver(self, memory: Memory) -> Memory:
        """Send the notices, oldest first, until one is not accepted. Return the memory with those that are left."""
        if not memory.outbox or time.monotonic() < self.next_try:
            return memory
        if len(memory.outbox) > LIMIT:
            talk(f"warning: {plural(len(memory.outbox) - LIMIT, 'notice')} for the webhook discarded: more than {LIMIT:,} wait")
            memory = replace(memory, outbox=memory.outbox[-LIMIT:])
        while memory.outbox:
            notice = memory.outbox[0]
            reason = self._webhook.post(body(notice, self._webhook.format, _utc), f"{notice.id}-{notice.kind}")
            if reason:
                self._failed(reason, len(memory.outbox))
                return memory
            memory = replace(memory, outbox=memory.outbox[1:])
            self._save(memory)
        if self.failing:
            talk("the webhook accepts notices again")
        self._failures = 0
        return memory

    def _failed(self, reason: str, waiting: int) -> None:
        if not self._failures:
            talk(f"webhook {self._webhook.shown}: {reason}; retrying, {plural(waiting, 'notice')} kept")
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**self._failures)
        self._failures = min(self._failures + 1, 20)
        self.next_try = time.monotonic() + pause


def _utc(ns: int) -> str:
    return f"{rfc3339(ns)[:19]}Z"
