"""The errors that logship raises. A message says what is wrong, the value, and what to do."""


class LogshipError(Exception):
    """The base class of all errors of logship."""


class SettingsError(LogshipError, ValueError):
    """An unknown setting, or an invalid value of a setting."""


class SourceError(LogshipError):
    """A store or a collector cannot be reached, or does not respond as expected."""


class QuestionError(LogshipError, ValueError):
    """An invalid query or parameter. The message says where, and what was expected."""


class ListenError(LogshipError, OSError):
    """Listening on an address failed. The message says why, and what to change."""


class StateUnusable(LogshipError, OSError):
    """A state directory cannot hold journals. The message says why, and which setting to change."""


class JournalUnreadable(LogshipError):
    """A file of a journal is damaged, is not a file of logship, or has an unknown version. It is kept, never deleted."""


class KqlError(QuestionError):
    """A KQL query is invalid, or compares a field with a value that the field cannot have.

    `text`: the query ("" if unknown); `at`: the index of the character; `expected`: the message without the position."""

    def __init__(self, expected: str, at: int = 0, text: str = "") -> None:
        super().__init__(f"{expected}, at character {at + 1}" + (f" of {text!r}" if text and len(text) <= 200 else ""))
        self.expected, self.at, self.text = expected, at, text


class UnknownField(KqlError):
    """A name in a query that is neither a field nor a label. `suggestion`: the closest name there is, or ""."""

    def __init__(self, name: str, suggestion: str = "", at: int = 0, text: str = "") -> None:
        near = f" (did you mean {suggestion}?)" if suggestion else ""
        super().__init__(f"unknown field or label {name!r}{near}", at, text)
        self.suggestion = suggestion


class StoreError(SourceError):
    """A store on disk cannot be written or read. The message names the directory and what to do."""


class StoreMissing(StoreError):
    """There is no store in the directory."""


class StoreLocked(StoreError):
    """Another process, named in the message, writes the store."""


class ElasticError(SourceError):
    """A request to Elasticsearch failed. `status`: its HTTP status, None without a response."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class WireError(LogshipError):
    """A peer sent something that is not the Forward protocol, or that exceeds a limit. Close the connection.

    `answer`: bytes to send to the peer before the connection is closed; usually empty."""

    def __init__(self, message: str, answer: bytes = b"") -> None:
        super().__init__(message)
        self.answer = answer


class HandshakeRefused(WireError):
    """One side of a handshake rejected the shared key, the user or the password of the other."""
