"""Passwords after the short flags of well-known commands: `mysql -phunter2`, `curl -u ann:hunter2`, `redis-cli -a hunter2`."""

import re
from typing import Final

from logship.event.secrets.marks import is_mark, mark

_REST: Final = r"[^\r\n|;]{0,300}?[ \t]"
_VALUE: Final = r"(?P<value>\"[^\"\r\n]{1,200}|'[^'\r\n]{1,200}|[^\s\"'|;&]+)"
# command, its flag. `:` before the value: only what follows a user's name and a colon is secret.
COMMANDS: Final[tuple[tuple[str, str], ...]] = (
    ("sshpass", r"-p[ \t]{0,3}"),
    (r"(?:mysql\w*|mariadb[\w\-]*)", r"-p(?=[^\s\-])"),
    (
        r"(?:curl|wget|httpie|https?)",
        r"(?:-u|--user|-U|--proxy-user|-a|--auth)[ \t=]{0,3}[\"']?[^\s:\"'/]{0,100}:(?!//)",
    ),
    (r"redis-cli", r"(?:-a|--pass)[ \t]{1,3}"),
    (r"(?:docker|podman|helm|oras|buildah|nerdctl)[ \t](?:registry[ \t])?login", r"-p[ \t]{1,3}"),
    (r"(?:mongo|mongosh|mongodump|mongorestore|mongoexport)", r"-p[ \t]{1,3}"),
    (r"(?:sqlcmd|bcp)", r"-P[ \t]{0,3}"),
    (r"smbclient", r"-U[ \t]{0,3}[^\s%]{1,80}%"),
    (r"az[ \t]login", r"-p[ \t]{1,3}"),
    (r"(?:ldapsearch|ldapadd|ldapmodify|ldapwhoami)", r"-w[ \t]{1,3}"),
    (r"htpasswd[ \t]-[a-zA-Z]{0,6}b[a-zA-Z]{0,6}", r"\S{1,200}[ \t]\S{1,80}[ \t]"),
)
_COMMANDS: Final = tuple(
    re.compile(rf"\b{command}\b(?:{_REST}|[ \t]){flag}{_VALUE}", re.ASCII) for command, flag in COMMANDS
)
_HINTS: Final = "sshpass mysql mariadb curl wget http redis-cli login mongo sqlcmd bcp smbclient ldap htpasswd".split()


def may_hold_command(text: str) -> bool:
    """Return whether `hide_command_passwords` may change `text`."""
    return " -" in text and any(hint in text for hint in _HINTS)


def hide_command_passwords(text: str) -> str:
    """Return `text` with a mark in place of the passwords of commands in it."""
    for pattern in _COMMANDS:
        text = pattern.sub(_marked, text)
    return text


def _marked(found: re.Match[str]) -> str:
    value = found["value"]
    quote = value[:1] if value[:1] in "\"'" else ""
    if is_mark(value[len(quote) :]):
        return found[0]
    return found[0][: found.start("value") - found.start()] + quote + mark("password")
