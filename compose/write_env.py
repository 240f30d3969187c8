"""Write .env with generated passwords, once. `make stack` runs it first, with any Python.

An existing file is never changed: Elasticsearch's volume holds the same passwords, so a new .env would lock you out."""

import os
import secrets
import sys
import uuid
from pathlib import Path

# Letters and digits only: docker compose, JSON and shells interpret $ and quotes.
SECRETS = {
    "ELASTIC_PASSWORD": "superuser of Elasticsearch; log in to Kibana as user elastic",
    "KIBANA_PASSWORD": "Kibana's user in Elasticsearch",
    "SHIPPER_PASSWORD": "user logship_shipper of Fluent Bit, which may create events",
    "READER_PASSWORD": "user logship_reader of Grafana, which may read events; use it for logship --source elastic too",
    "KIBANA_KEY": "key with which Kibana encrypts its saved data",
    "AGENT_KEY": "shared key of workers and Fluent Bit",
    "GRAFANA_PASSWORD": "Grafana's user admin",
    "SPLUNK_PASSWORD": "Splunk's user admin",
    "SPLUNK_HEC_TOKEN": "token with which Fluent Bit sends to Splunk",
}
CHOICES = """
# Options; the defaults are commented out.
# STACK_VERSION=8.19.21
# FLB_TO_SPLUNK=none
# SPLUNK_START_ARGS=
# SPLUNK_GENERAL_TERMS=
"""


def made(name: str) -> str:
    """Return a new secret. Splunk requires a UUID as token."""
    return str(uuid.uuid4()) if name == "SPLUNK_HEC_TOKEN" else secrets.token_hex(24)


def text() -> str:
    """Return the text of the file."""
    lines = ["# Written once by make stack, read by docker compose. Keep it secret."]
    for name, sentence in SECRETS.items():
        lines += [f"# {sentence[0].upper()}{sentence[1:]}", f"{name}={made(name)}"]
    return "\n".join(lines) + "\n" + CHOICES


def write(file: Path) -> str:
    """Write the file with mode 0600 if it does not exist; return a message. SystemExit if an existing file lacks a name."""
    try:
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        names = {line.partition("=")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()}
        missing = [name for name in SECRETS if name not in names]
        if missing:
            raise SystemExit(
                f"{file} exists and lacks {', '.join(missing)}: add a line NAME=value for each"
            ) from None
        return f"{file} exists and is kept"
    with open(handle, "w", encoding="utf-8") as out:
        out.write(text())
    return f"{file} written with generated passwords, readable only by you"


if __name__ == "__main__":
    sys.stderr.write(write(Path(__file__).parents[1] / ".env") + "\n")
