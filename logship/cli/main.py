"""The console script. Nothing that goes wrong here ends in a traceback; all of it ends in a sentence and a status.

Status: 0 found or done, 1 nothing found (verify: something is missing), 2 a question or a set-up that makes no sense,
3 whom we ask cannot be reached, 4 verify cannot know, 70 a mistake of ours, 130 Ctrl-C."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from logship import __version__
from logship.errors import KqlError, LogshipError, SourceError, StoreLocked

if TYPE_CHECKING:
    import click

WRONG, UNREACHABLE, OUR_FAULT, INTERRUPTED = 2, 3, 70, 130
# Which extra brings a package that a command asked for.
EXTRA_OF = {"click": "cli", "rich": "cli", "elasticsearch": "elastic"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        # What a terminal in another encoding cannot show is shown as \\u2026, not as a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(status_of(sys.argv[1:] if arguments is None else arguments))


def status_of(arguments: Sequence[str]) -> int:
    """The status that a command ends with, its error told on stderr."""
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
    except Exception as error:  # noqa: BLE001 - the last resort before a user would see a traceback
        return _mistake(error)


def commands() -> "click.Group":
    """Every command, listed by what it is for. Each imports what it needs when it runs, so that --help is quick."""
    import click

    from logship.cli import ask, draw, move, tell, up

    groups = {
        "Collect": [up.up, up.run],
        "Ask": [ask.search, ask.tail, ask.count, ask.top, ask.fields, ask.context, draw.trace],
        "Workers": [ask.workers, draw.view, ask.inflight, ask.verify],
        "Move": [move.export, move.import_],
        "Tell": [tell.doctor, tell.settings, tell.demo, tell.completion],
    }

    class Grouped(click.Group):
        """Commands in the order of their groups."""

        def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
            for title, some in groups.items():
                with formatter.section(title):
                    formatter.write_dl([(one.name or "", one.get_short_help_str(80)) for one in some])

    @click.group(cls=Grouped, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
    @click.version_option(__version__, prog_name="logship")
    def logship() -> None:
        """What every worker of an ASGI service did: collected, and asked.

        Answers go to stdout, everything else to stderr. The status is 0 when something was found, 1 when nothing was,
        2 when the question made no sense, and 3 when whom it asks cannot be reached."""

    for some in groups.values():
        for one in some:
            logship.add_command(one)
    return logship


def _run(arguments: Sequence[str], typed: dict[str, str]) -> int:
    import click

    from logship.cli.show import Enough

    try:
        ended = commands().main(list(arguments), prog_name="logship", standalone_mode=False, obj=typed)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
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


def _mistake(error: Exception) -> int:
    if sys.flags.dev_mode:
        raise error
    told = f"{type(error).__name__}: {error}"
    return _say(f"a mistake in logship, please report it ({told}); python -X dev -m logship shows where", OUR_FAULT)


def _say(sentence: str, status: int) -> int:
    sys.stderr.write(f"error: {sentence}\n")
    return status
