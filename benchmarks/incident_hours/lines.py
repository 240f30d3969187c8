"""The usual log lines of a shop: some of them per request, a few that are rare, and warnings at their usual rate."""

import random
from dataclasses import dataclass

from benchmarks.incident_hours.plan import MINUTE, Call, Line, Stage
from benchmarks.incident_hours.records import Record, line


@dataclass(frozen=True, slots=True)
class Usual:
    """`part`: of the requests that log it; each logs one line at most. `labels`: the text is fixed, as with structlog, and the
    values are labels."""

    part: float
    text: str
    level: str
    logger: str
    labels: bool = False


EACH = (
    Usual(0.16, "loaded {number} rows for {tenant}", "info", "shop.db"),
    Usual(0.10, "request authorised", "info", "shop.auth", labels=True),
    Usual(0.06, "cache miss", "info", "shop.cache", labels=True),
    Usual(0.05, "user {number} viewed {word}", "info", "shop.audit"),
    Usual(0.01, "retrying call to payments, attempt {digit}", "warning", "shop.payments"),
    Usual(0.004, "slow query took {number} ms", "warning", "shop.db"),
    Usual(0.002, "rate limit is near for tenant {tenant}", "warning", "shop.limits"),
)
# Each minute of the service, with this probability.
RARE = (
    Usual(0.5, "refreshed {number} exchange rates", "info", "shop.jobs"),
    Usual(0.06, "rotated signing key {word}", "info", "shop.jobs"),
    Usual(0.02, "dns lookup of payments.example took {number} ms", "warning", "shop.net"),
    Usual(0.008, "lease of scheduler renewed late by {number} ms", "warning", "shop.jobs"),
    Usual(0.004, "template cache rebuilt", "info", "shop.cache"),
)
WORDS = "amber basil cedar delta ember fjord grove haven iris jade".split()
_LINES = {text: (f"{one.logger.replace('.', '/')}.py", 20 + len(text), "run") for one in (*EACH, *RARE) for text in (one.text,)}


def of_call(pick: random.Random, call: Call, ids: str) -> list[tuple[int, Record]]:
    """Return the line that a request logs, if any, with its time between its beginning and its end."""
    luck, place = pick.random(), 0
    while luck >= EACH[place].part:
        luck -= EACH[place].part
        place += 1
        if place == len(EACH):
            return []
    record = usual(pick, EACH[place], call.tenant)
    record["http.request.id"] = record["trace.id"] = ids[:32]
    record["span.id"] = record["transaction.id"] = ids[32:]
    return [(call.at_ns + int(call.took_ns * pick.random()), record)]


def usual(pick: random.Random, one: Usual, tenant: str) -> Record:
    """Return one line with values of chance."""
    number, word = int(pick.random() * 3000), pick.choice(WORDS)
    text = one.text.format(number=number, digit=1 + number % 3, word=word, tenant=tenant)
    record = line(text, one.level, one.logger, _LINES[one.text])
    if one.labels:
        record["labels"] = {"tenant": tenant, "key": word}
        record["numeric_labels"] = {"rows": float(number)}
    return record


def rare(stage: Stage) -> list[Line]:
    """Return the lines outside of requests, from before the window to its end."""
    pick, shop = stage.pick, stage.shop
    return [
        Line(
            minute + int(pick.random() * MINUTE), pick.randrange(len(shop.shares)),
            one.text.format(number=int(pick.random() * 900), word=pick.choice(WORDS)), one.level, one.logger,
        )
        for minute in range(stage.before_ns, stage.until_ns - MINUTE, MINUTE)
        for one in RARE
        if pick.random() < one.part
    ]  # fmt: skip


def outside(said: Line) -> Record:
    """Return the event of a line outside of requests."""
    return line(said.message, said.level, said.logger, (f"{said.logger.replace('.', '/')}.py", 20 + len(said.logger), "run"))
