"""Write .env with a password of its own for everybody, once: `make stack` runs it with any Python, before anything else.

What is there is never touched: the passwords are in Elasticsearch's volume as well, and another .env would lock you out."""

import os
import secrets
import sys
import uuid
from pathlib import Path

# Letters and digits only: a $ or a quote would mean something to docker compose, JSON or a shell.
SECRETS = {
    "ELASTIC_PASSWORD": "the superuser of Elasticsearch, and yours in Kibana (user elastic)",
    "KIBANA_PASSWORD": "Kibana's own user in Elasticsearch",
    "SHIPPER_PASSWORD": "Fluent Bit's user: may create events",
    "READER_PASSWORD": "logship_reader: may read events (logship --source elastic, Grafana)",
    "KIBANA_KEY": "with which Kibana encrypts what it keeps",
    "AGENT_KEY": "what workers prove to Fluent Bit",
    "GRAFANA_PASSWORD": "Grafana's user admin",
    "SPLUNK_PASSWORD": "Splunk's user admin",
    "SPLUNK_HEC_TOKEN": "with which Fluent Bit may send to Splunk",
}
CHOICES = """
# Yours to choose; commented out are the defaults.
# STACK_VERSION=8.19.21
# FLB_TO_SPLUNK=none
# SPLUNK_START_ARGS=
# SPLUNK_GENERAL_TERMS=
"""


def made(name: str) -> str:
    """A new value. Splunk wants a UUID for its token."""
    return str(uuid.uuid4()) if name == "SPLUNK_HEC_TOKEN" else secrets.token_hex(24)


def text() -> str:
    """The file."""
    lines = ["# Written once by make stack, read by docker compose. Keep it to yourself."]
    for name, sentence in SECRETS.items():
        lines += [f"# {sentence[0].upper()}{sentence[1:]}", f"{name}={made(name)}"]
    return "\n".join(lines) + "\n" + CHOICES


def write(file: Path) -> str:
    """Write it if it is not there, for its owner alone; return a sentence. SystemExit when what is there lacks a name."""
    try:
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        names = {line.partition("=")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()}
        missing = [name for name in SECRETS if name not in names]
        if missing:
            raise SystemExit(
                f"{file} is kept as it is and lacks {', '.join(missing)}: add a line NAME=value for each"
            ) from None
        return f"{file} is there and kept"
    with open(handle, "w", encoding="utf-8") as out:
        out.write(text())
    return f"{file} is written, for you alone: passwords of its own for everybody"


if __name__ == "__main__":
    sys.stderr.write(write(Path(__file__).parents[1] / ".env") + "\n")
