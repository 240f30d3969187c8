"""Every error logship raises on purpose. A message names the thing, the numbers and the next step."""


class LogshipError(Exception):
    """The family: `except logship.LogshipError` catches whatever logship says is wrong."""


class SettingsError(LogshipError, ValueError):
    """An unknown setting, or a value that the setting cannot take."""


class SourceError(LogshipError):
    """A store or a collector that was asked a question cannot be reached, or does not answer."""


class QuestionError(LogshipError, ValueError):
    """A question that makes no sense as it was put; the message says where and what was expected."""


class ListenError(LogshipError, OSError):
    """An address that cannot be listened on; the message says why and what to change."""


class MissingExtra(LogshipError):
    """A command needs packages that are not installed; the message holds the line that installs them."""


class StateUnusable(LogshipError, OSError):
    """A state directory that cannot hold journals; the message says why and which setting to change."""


class JournalUnreadable(LogshipError):
    """A journal's file that is not ours, or of a version that this release does not know: kept, never deleted."""


class KqlError(QuestionError):
    """A KQL text that cannot be read, or compares a field with what it cannot hold.

    `text`: the question (empty when unknown); `at`: index of the character; `expected`: the sentence without the place."""

    def __init__(self, expected: str, at: int = 0, text: str = "") -> None:
        super().__init__(f"{expected}, at character {at + 1}" + (f" of {text!r}" if text and len(text) <= 200 else ""))
        self.expected, self.at, self.text = expected, at, text


class UnknownField(KqlError):
    """A name in a query that is neither a field nor a label. `suggestion`: the closest name there is, or ""."""

    def __init__(self, name: str, suggestion: str = "", at: int = 0, text: str = "") -> None:
        near = f"; did you mean {suggestion}?" if suggestion else ""
        super().__init__(f"unknown field or label {name!r}{near}", at, text)
        self.suggestion = suggestion


class StoreError(SourceError):
    """A store on disk that cannot be written or read; the message names the directory and the next step."""


class StoreMissing(StoreError):
    """There is no store in that directory."""


class StoreLocked(StoreError):
    """Another process writes this store; the message names it."""


class ElasticError(SourceError):
    """Elasticsearch cannot be reached, or does not do what it was asked; `status`: its HTTP status, None without an answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class WireError(LogshipError):
    """What came over a connection is not the Forward protocol, or is more than a limit allows: close that connection.

    `answer`: bytes that the peer should still get before the connection is closed; mostly none."""

    def __init__(self, message: str, answer: bytes = b"") -> None:
        super().__init__(message)
        self.answer = answer


class HandshakeRefused(WireError):
    """One side of a handshake did not accept the other's shared key, user or password."""
