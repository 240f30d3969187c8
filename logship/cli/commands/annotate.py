"""`logship annotate`."""

import json
import time
from contextlib import closing
from secrets import token_hex

import click

from logship.cli.importing.sink import sink_of
from logship.cli.options import utc_option
from logship.cli.output import say, talk
from logship.cli.rows import Form, json_option
from logship.cli.times import moment, zone
from logship.connect.agent import AgentConnection
from logship.event.annotation import annotation
from logship.event.invisible import visible
from logship.search.times import parse_time, rfc3339
from logship.settings import load

LIMIT_CHARACTERS = 2_000


@click.command()
@click.argument("text")
@click.option("--at", default="", metavar="TIME", help="When it happened: 14:05, 10m (ago). Default: now")
@click.option("--service", default="", metavar="NAME", help="Service that it concerns. Default: all")
@click.option(
    "--to", metavar="DIR|HOST:PORT",
    help="Write into this store, or send to this collector or Fluent Bit (Forward). Default: the local collector, else its store",
)  # fmt: skip
@utc_option
@json_option
def annotate(text: str, at: str, service: str, to: str | None, form: Form | None) -> int:
    """Record what happened at a moment: logship annotate "rolled back" --at 14:05 --service shop

    The note is an event (event.action: annotation). The page draws it as a mark, and incident reports list it. Secrets in TEXT
    are redacted as in other events."""
    said = text.strip()
    if not said or len(said) > LIMIT_CHARACTERS:
        raise click.UsageError(f"invalid TEXT: {len(said)} characters; use 1 to {LIMIT_CHARACTERS}")
    now_ns = time.time_ns()
    time_ns = parse_time(at, now_ns, zone()) if at else now_ns
    event = annotation(said, service, now_ns, f"note-{token_hex(12)}")
    with closing(sink_of(to, load())) as sink:
        sink.put([(time_ns, event)])
        where = "sent and acknowledged" if isinstance(sink, AgentConnection) else "stored"
    if form == "json":
        say(json.dumps({"@timestamp": rfc3339(time_ns), **event}))
    else:
        talk(f"{where}: {moment(time_ns)} {visible(str(event['message']))}")
    return 0
