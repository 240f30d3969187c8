"""All commands by purpose. Each is imported when it is called, so that the others cost no start time."""

import difflib
import importlib

import click

from logship import __version__

# By purpose: each command with its line in `logship --help`. The module in `commands` has its name.
COMMANDS = {
    "Serve": {
        "up": "Start the collector and its page.",
        "run": "Run a server with logship in all its processes.",
        "page": "Serve the page and the HTTP API over any source.",
    },
    "Query": {
        "search": "Find events with KQL, newest last.",
        "tail": "Show events as they arrive.",
        "count": "Count events.",
        "top": "List the most frequent values of a field.",
        "fields": "List the fields that occur.",
        "kql": "Print a query in full, as Kibana needs it.",
        "context": "Show the events before and after an event.",
        "trace": "Draw a request with its log lines as a waterfall.",
        "curl": "Print a request as a curl command.",
    },
    "Workers": {
        "findings": "Show what stands out: crashes, slow workers, failing routes.",
        "incident": "Show what changed in a window: when, where, and whether events are missing.",
        "watch": "Report findings as they begin and end, also to a webhook.",
        "compare": "Show what differs from the time before, and which values explain it.",
        "patterns": "Group log messages into patterns, and show which are new.",
        "errors": "Group exceptions by class and function, and show which are new.",
        "workers": "List the workers: load, latency, errors, dropped events.",
        "capacity": "Show how much traffic the workers can carry, and for how long.",
        "view": "Draw a view, such as latency or slowest-routes; without a name, list them all.",
        "level": "Change the log level of running workers for a while.",
        "inflight": "List running and interrupted requests.",
        "verify": "Check that every emitted event was stored, and that the store was not changed.",
        "annotate": "Record what happened at a moment, for charts and reports.",
        "anchor": "Print one line with which verify --anchor detects later changes of the store.",
    },
    "Import and export": {
        "export": "Write all matching events as NDJSON, CSV or Parquet.",
        "import": "Import NDJSON, Parquet, or another store.",
    },
    "Elasticsearch": {
        "setup": "Set up Elasticsearch and Kibana; shows its plan first.",
        "replay": "Copy events of a store or an export into Elasticsearch.",
        "rollup": "Keep totals of each hour for longer than the events.",
        "dead-letter": "Show what Fluent Bit could not deliver, and send it again.",
    },
    "Diagnose": {
        "doctor": "Check the installation, and say what to do about problems.",
        "settings": "Print every setting with its value and its origin.",
        "demo": "Run a demo service with traffic, one slow and one killed worker.",
        "completion": "Print the completion code for a shell.",
    },
}
NAMES = tuple(name for commands in COMMANDS.values() for name in commands)


class CommandGroup(click.Group):
    """The commands of `COMMANDS`, in their order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in NAMES:
            return None
        name = "import_" if cmd_name == "import" else cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"logship.cli.commands.{name}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in NAMES and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], NAMES, n=1)
            ctx.fail(f"unknown command {args[0]!r}; " + (f"did you mean {near[0]}?" if near else "see logship --help"))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="logship")
def logship() -> None:
    """Collect and query the logs of every ASGI worker.

    Results go to stdout, everything else to stderr. Exit status: 0 if something was found, 1 if nothing was found, 2 for an
    invalid query or setting, 3 if the source is unreachable, 4 if the result is not known, 5 if the store was changed."""
