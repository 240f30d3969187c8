"""The console script. Nothing that goes wrong here ends in a traceback; all of it ends in a sentence and a status.

Status: 0 found or done, 1 nothing found, 2 a question or a set-up that makes no sense, 70 a mistake of ours."""

import os
import sys
from collections.abc import Sequence

from logship.errors import LogshipError

NOTHING, WRONG, OUR_FAULT, INTERRUPTED = 1, 2, 70, 130
# Which extra brings a package that a command asked for.
EXTRA_OF = {"click": "cli", "rich": "cli", "elasticsearch": "elastic"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    sys.exit(status_of(sys.argv[1:] if arguments is None else arguments))


def status_of(arguments: Sequence[str]) -> int:
    """The status that a command ends with, its error told on stderr."""
    try:
        return _run(arguments)
    except LogshipError as error:
        return _say(str(error), WRONG)
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


def _run(arguments: Sequence[str]) -> int:
    import click

    from logship.cli.commands import logship
    from logship.cli.show import Enough

    try:
        ended = logship.main(list(arguments), prog_name="logship", standalone_mode=False)
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


def _mistake(error: Exception) -> int:
    if sys.flags.dev_mode:
        raise error
    told = f"{type(error).__name__}: {error}"
    return _say(f"a mistake in logship, please report it ({told}); python -X dev -m logship shows where", OUR_FAULT)


def _say(sentence: str, status: int) -> int:
    sys.stderr.write(f"error: {sentence}\n")
    return status
