"""The agent: whether it accepts connections, knows the shared key, and acknowledges an event."""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator

from logship.connect.agent import AgentConnection, AgentUnreachable
from logship.doctor.check import Check
from logship.errors import SettingsError, SourceError
from logship.search.query import Record
from logship.search.units import duration
from logship.settings import Settings
from logship.wire.address import has_address

GREETING_SECONDS = 0.3
START = "start it: logship up, or Fluent Bit; until then events wait in the journals"
ACCESS = "check LOGSHIP_AGENT, for TLS LOGSHIP_AGENT_CA_FILE, and whether the agent requires LOGSHIP_AGENT_SHARED_KEY"


def checks(settings: Settings, send: bool, announce: Callable[[str], None]) -> Iterator[Check]:
    """Yield a check of the connection, and with `send` one of the acknowledgement."""
    if not has_address(settings.agent):
        yield Check("good", "agent", f"none: events go to {settings.agent}")
        return
    try:
        agent = AgentConnection(settings.agent, settings)
    except SettingsError as error:
        yield Check("wrong", "agent", str(error), "set LOGSHIP_AGENT")
        return
    except SourceError as error:
        yield Check("wrong", "agent", str(error), START if isinstance(error, AgentUnreachable) else ACCESS)
        return
    with contextlib.closing(agent):
        check = _access(agent, settings)
        yield check
        if send and check.mark == "good":
            announce(f"sending one event to {settings.agent}")
            yield _acknowledgement(agent)


def _access(agent: AgentConnection, settings: Settings) -> Check:
    if settings.agent_shared_key:
        return Check("good", "agent", f"{settings.agent} accepts the shared key")
    if agent.greeting(GREETING_SECONDS):
        return Check("wrong", "agent", f"{settings.agent} requires a shared key", "set LOGSHIP_AGENT_SHARED_KEY")
    return Check("good", "agent", f"{settings.agent} accepts connections")


def _acknowledgement(agent: AgentConnection) -> Check:
    start = time.monotonic()
    try:
        agent.put([(time.time_ns(), doctor_event())])
    except SourceError as error:
        return Check("wrong", "acknowledgement", str(error), "LOGSHIP_AGENT must be `logship up` or Fluent Bit's forward input")
    elapsed = duration((time.monotonic() - start) * 1e9)
    return Check("good", "acknowledgement", f"one event was acknowledged after {elapsed}")


def doctor_event() -> Record:
    """Return an event of the doctor.

    It has a unique id: Fluent Bit gives a record without one the id of the record before it, and Elasticsearch keeps
    only one of them."""
    return {
        "event.id": f"doctor-{uuid.uuid4().hex}", "event.dataset": "logship.doctor", "log.level": "info",
        "message": "test event of logship doctor",
    }  # fmt: skip
