"""The console script. Nothing that goes wrong here ends in a traceback; all of it ends in a sentence and a status.

Status: 0 found or done, 1 nothing found (verify: something is missing), 2 a question or a set-up that makes no sense,
3 whom we ask cannot be reached, 4 verify cannot know, 70 a mistake of ours, 130 Ctrl-C."""

import difflib
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from logship import __version__
from logship.cli.screen import guarded
from logship.errors import KqlError, LogshipError, SourceError, StoreLocked

if TYPE_CHECKING:
    import click

WRONG, UNREACHABLE, OUR_FAULT, INTERRUPTED = 2, 3, 70, 130
# Which extra brings a package that a command asked for.
EXTRA_OF = {"click": "cli", "rich": "cli", "elasticsearch": "elastic"}
ELASTIC = "Elasticsearch"
# What the disk says that stdout goes to.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
# By what they are for: where each one is, and what it does.
COMMANDS = {
    "Collect": {
        "up": ("cli.up", "Collect events from workers, keep them, and answer questions."),
        "run": ("cli.up", "Run a server with logship in all its processes."),
        "page": ("cli.up", "Answer questions from any source, over HTTP and in a browser."),
    },
    "Ask": {
        "search": ("cli.ask", "Find events with KQL, newest last."),
        "tail": ("cli.ask", "Show events as they arrive."),
        "count": ("cli.ask", "Count events."),
        "top": ("cli.ask", "List the most frequent values of a field."),
        "fields": ("cli.ask", "List the fields that occur."),
        "kql": ("cli.ask", "Print a query in full, as Kibana reads it."),
        "context": ("cli.ask", "Show what happened before and after an event."),
        "trace": ("cli.draw", "Draw a request with its log lines as a waterfall."),
    },
    "Workers": {
        "workers": ("cli.ask", "List the workers: load, latency, errors, losses."),
        "view": ("cli.draw", "Draw a view of the catalogue."),
        "inflight": ("cli.ask", "List requests that run now or died with their worker."),
        "verify": ("cli.ask", "Check that every emitted event was stored."),
    },
    "Move": {
        "export": ("cli.move", "Write all that matches as NDJSON, CSV or Parquet."),
        "import": ("cli.move", "Take in NDJSON, Parquet, or another store."),
    },
    ELASTIC: {
        "setup": ("elastic.commands", "Set up Elasticsearch and Kibana; shows its plan first."),
        "replay": ("elastic.commands", "Move events of a store or an export into Elasticsearch."),
        "dead-letter": ("elastic.commands", "Show what Fluent Bit gave up, and send it again."),
    },
    "Tell": {
        "doctor": ("cli.tell", "Say what is reachable, what is wrong, and what to do."),
        "settings": ("cli.tell", "Print every setting, its value and its origin."),
        "demo": ("cli.tell", "Run a shop, its traffic and an accident to look at."),
        "completion": ("cli.tell", "Print what makes a shell complete."),
    },
}
PLACES = {name: place for some in COMMANDS.values() for name, (place, _) in some.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        # What a terminal in another encoding cannot show is shown as \\u2026, not as a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(status_of(sys.argv[1:] if arguments is None else arguments))


def status_of(arguments: Sequence[str]) -> int:
    """The status that a command ends with, its error told on stderr."""
    with guarded():
        return _status_of(arguments)


def _status_of(arguments: Sequence[str]) -> int:
    typed: dict[str, str] = {}
    try:
        return _run(arguments, typed)
    except KqlError as error:
        return _say(_pointed(error, error.text or typed.get("kql", "")), WRONG)
    except LogshipError as error:
        reached = not isinstance(error, SourceError) or isinstance(error, StoreLocked)
        return _say(str(error), WRONG if reached else UNREACHABLE)
    except ModuleNotFoundError as lost:
        if lost.name is None or lost.name.startswith("logship"):
            return _mistake(lost)
        package = lost.name.partition(".")[0]
        extra = EXTRA_OF.get(package, "collector")
        return _say(f"this command needs {package}: pip install 'logship[{extra}]'", WRONG)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _enough()
    except OSError as error:
        if error.filename is not None and error.strerror:
            return _say(_unusable(error), WRONG)
        if error.errno not in FULL:
            return _mistake(error)
        _enough()
        return _say(f"stdout cannot be written: {error.strerror}", WRONG)
    except Exception as error:  # noqa: BLE001 - the last resort before a user would see a traceback
        return _mistake(error)


def commands() -> "click.Group":
    """Every command, listed by what it is for. Each is imported when it is called, so that the others cost it nothing."""
    import click

    class Listed(click.Group):
        """The commands of `COMMANDS`, in their order."""

        def list_commands(self, ctx: click.Context) -> list[str]:
            return list(PLACES)

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            if cmd_name not in PLACES:
                return None
            home = importlib.import_module(f"logship.{PLACES[cmd_name]}")
            if cmd_name in COMMANDS[ELASTIC]:
                return next((one for one in home.COMMANDS if one.name == cmd_name), None)
            command: click.Command = getattr(home, "import_" if cmd_name == "import" else cmd_name)
            return command

        def resolve_command(
            self, ctx: click.Context, args: list[str]
        ) -> tuple[str | None, click.Command | None, list[str]]:
            if args and args[0] not in PLACES and not args[0].startswith("-"):
                near = difflib.get_close_matches(args[0], PLACES, n=1)
                hint = f"did you mean {near[0]}?" if near else "logship --help lists them"
                ctx.fail(f"there is no command {args[0]!r}; {hint}")
            return super().resolve_command(ctx, args)

        def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
            for title, some in COMMANDS.items():
                with formatter.section(title):
                    formatter.write_dl([(name, sentence) for name, (_, sentence) in some.items()])

    @click.group(cls=Listed, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
    @click.version_option(__version__, prog_name="logship")
    def logship() -> None:
        """What every worker of an ASGI service did: collected, and asked.

        Answers go to stdout, everything else to stderr. The status is 0 when something was found, 1 when nothing was,
        2 when the question made no sense, and 3 when whom it asks cannot be reached."""

    return logship


def _run(arguments: Sequence[str], typed: dict[str, str]) -> int:
    import click

    from logship.cli.show import Enough

    try:
        ended = commands().main(list(arguments), prog_name="logship", standalone_mode=False, obj=typed)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return WRONG
    except click.ClickException as error:
        usage = error.ctx.get_usage() + "\n" if isinstance(error, click.UsageError) and error.ctx else ""
        sentence = error.format_message().rstrip(".")
        if "extra argument" in sentence and "[KQL]" in usage:
            sentence += "; a question of several words is one argument: quote it"
        return _say(sentence[:1].lower() + sentence[1:], error.exit_code, usage)
    except click.Abort:
        return INTERRUPTED
    except Enough:
        return _enough()
    return ended if isinstance(ended, int) else 0


def _enough() -> int:
    # Python would complain once more when it flushes stdout at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _pointed(error: KqlError, text: str) -> str:
    """The sentence, with a mark under the character of the question."""
    if not text.isprintable() or not 0 <= error.at <= len(text) or not text:
        return str(error)
    begin = max(0, error.at - 60)
    return (
        f"{error.expected}, at character {error.at + 1}\n  {text[begin : error.at + 40]}\n  {' ' * (error.at - begin)}^"
    )


def _unusable(error: OSError) -> str:
    """The sentence for a file or directory that the system does not let us use: no mistake of ours."""
    told = f"{os.fsdecode(error.filename)}: {error.strerror}"
    if isinstance(error, PermissionError):
        told += f"; this process runs as user {os.geteuid()}: run it as the owner, or name another path"
    return told


def _mistake(error: Exception) -> int:
    if sys.flags.dev_mode:
        raise error
    told = f"{type(error).__name__}: {error}"
    return _say(f"internal error, please report it ({told}); python -X dev -m logship shows where", OUR_FAULT)


def _say(sentence: str, status: int, above: str = "") -> int:
    sys.stderr.write(f"{above}error: {sentence}\n")
    return status
