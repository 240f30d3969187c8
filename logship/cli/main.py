"""The console script: runs one command. Every error ends in a sentence on stderr and an exit status, not in a traceback.

Status: 0 found or done; 1 nothing found, or events missing (verify) or something wrong (doctor); 2 invalid query, setting or
file; 3 source unreachable; 4 not known (verify, inflight); 70 internal error; 130 Ctrl-C."""

import errno
import os
import sys
from collections.abc import Sequence

from logship.cli.terminal.screen import guarded
from logship.errors import KqlError, LogshipError, SourceError, StoreLocked

INVALID, UNREACHABLE, INTERNAL, INTERRUPTED = 2, 3, 70, 130
# The extra that installs a package; "collector" for all others.
EXTRA_OF = {"click": "cli", "elasticsearch": "elastic"}
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
# Characters of a query that are shown around an error.
BEFORE_ERROR, AFTER_ERROR = 60, 40


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        # Characters that the terminal's encoding lacks are shown as \\u2026 instead of a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(status_of(sys.argv[1:] if arguments is None else arguments))


def status_of(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; an error is reported on stderr."""
    with guarded():
        return _status_of(arguments)


def _status_of(arguments: Sequence[str]) -> int:
    typed: dict[str, str] = {}
    try:
        return _run(arguments, typed)
    except KqlError as error:
        return _fail(_pointed(error, error.text or typed.get("kql", "")), INVALID)
    except LogshipError as error:
        unreachable = isinstance(error, SourceError) and not isinstance(error, StoreLocked)
        return _fail(str(error), UNREACHABLE if unreachable else INVALID)
    except ModuleNotFoundError as error:
        return _missing(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _output_closed()
    except OSError as error:
        return _system_error(error)
    except Exception as error:  # noqa: BLE001 - the last resort before a user would see a traceback
        return _internal(error)


def _run(arguments: Sequence[str], typed: dict[str, str]) -> int:
    import click

    from logship.cli.output import OutputClosed
    from logship.cli.registry import logship

    try:
        status = logship.main(list(arguments), prog_name="logship", standalone_mode=False, obj=typed)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return INVALID
    except click.ClickException as error:
        usage = error.ctx.get_usage() + "\n" if isinstance(error, click.UsageError) and error.ctx else ""
        return _fail(_usage_error(error.format_message(), usage), error.exit_code, usage)
    except click.Abort:
        return INTERRUPTED
    except OutputClosed:
        return _output_closed()
    return status if isinstance(status, int) else 0


def _usage_error(message: str, usage: str) -> str:
    sentence = message.rstrip(".")
    if "extra argument" in sentence and "[KQL]" in usage:
        sentence += "; a query of several words is one argument: quote it"
    return sentence[:1].lower() + sentence[1:]


def _pointed(error: KqlError, text: str) -> str:
    """The message, with a mark under the character of the query."""
    if not text.isprintable() or not 0 <= error.at <= len(text) or not text:
        return str(error)
    begin = max(0, error.at - BEFORE_ERROR)
    shown = text[begin : error.at + AFTER_ERROR]
    return f"{error.expected}, at character {error.at + 1}\n  {shown}\n  {' ' * (error.at - begin)}^"


def _missing(error: ModuleNotFoundError) -> int:
    if error.name is None or error.name.startswith("logship"):
        return _internal(error)
    package = error.name.partition(".")[0]
    extra = EXTRA_OF.get(package, "collector")
    return _fail(f"this command needs {package}: pip install 'logship[{extra}]'", INVALID)


def _system_error(error: OSError) -> int:
    """A file or directory that cannot be used, or a full disk behind stdout; other errors are ours."""
    if error.filename is not None and error.strerror:
        message = f"{os.fsdecode(error.filename)}: {error.strerror}"
        if isinstance(error, PermissionError):
            message += f"; this process runs as user {os.geteuid()}: run it as the owner, or name another path"
        return _fail(message, INVALID)
    if error.errno not in DISK_ERRORS:
        return _internal(error)
    _output_closed()
    return _fail(f"stdout cannot be written: {error.strerror}", INVALID)


def _output_closed() -> int:
    # Python would report the closed stdout again when it flushes it at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _internal(error: Exception) -> int:
    if sys.flags.dev_mode:
        raise error
    cause = f"{type(error).__name__}: {error}"
    return _fail(f"internal error, please report it ({cause}); python -X dev -m logship shows the traceback", INTERNAL)


def _fail(sentence: str, status: int, above: str = "") -> int:
    sys.stderr.write(f"{above}error: {sentence}\n")
    return status
