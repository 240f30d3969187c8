"""Secrets of every kind, planted in every free-text place that an event has, are in nothing that leaves the process."""

import subprocess
import sys
import textwrap
from pathlib import Path

import orjson
import pytest

from logship.testing import PLANTED, assert_no_secrets

ROOT = Path(__file__).parents[2]

# Each place gets each kind; the innocent word beside it proves that the place was reached.
SCRIPT = """
    import asyncio, gc, logging, sys, threading, warnings
    import structlog
    import logship
    from logship.testing import PLANTED, plant

    logship.configure(service="shop", instance="1", level="debug")
    std, log = logging.getLogger("shop"), logship.get_logger()

    class Refused(Exception):
        pass

    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            raise Refused(f"reached-socket {scope['planted']}")
        await receive()
        secret = scope["planted"]
        structlog.contextvars.bind_contextvars(bound=f"reached-bound {secret}")
        std.warning("reached-message %s", secret)
        std.info("reached-extra", extra={"note": secret, "deep": {"list": [{"inner": secret}], secret: 1}})
        log.info(f"reached-event {secret}", note=secret, raw=secret.encode(), error=ValueError(secret))
        warnings.warn(f"reached-warning {secret}")
        try:
            try:
                raise KeyError(f"reached-cause {secret}")
            except KeyError as cause:
                raise Refused(f"reached-exception {secret}") from cause
        except Refused:
            std.exception("reached-handled %s", secret)
        structlog.contextvars.clear_contextvars()
        if scope["path"].endswith("ok"):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
            return await send({"type": "http.response.body", "body": secret.encode()})
        raise Refused(f"reached-unhandled {secret}")

    async def ask(kind, path, type_="http"):
        secret = plant(kind)
        raw = secret.encode("latin-1", "replace")
        scope = {"type": type_, "path": path, "raw_path": path.encode(), "query_string": b"q=" + raw, "method": "POST",
                 "http_version": "1.1", "scheme": "http", "client": ("192.0.2.7", 5), "server": ("shop", 80), "planted": secret,
                 "headers": [(b"host", b"shop"), (b"user-agent", b"reached-agent " + raw), (b"x-request-id", raw),
                             (b"authorization", b"Bearer " + raw), (b"cookie", b"sid=" + raw), (b"referer", raw),
                             (b"traceparent", raw), (b"x-api-key", PLANTED[kind].encode()), (b"content-length", b"3")]}
        async def receive():
            return {"type": "http.request", "body": raw}
        async def send(message):
            pass
        try:
            await logship.RequestLog(app)(scope, receive, send)
        except Refused:
            pass

    def loud(secret):
        raise RuntimeError(f"reached-thread {secret}")

    class Bad:
        def __init__(self, secret):
            self.secret = secret
        def __del__(self):
            raise RuntimeError(f"reached-unraisable {self.secret}")

    async def main():
        for kind in PLANTED:
            await ask(kind, f"/reached-path/{plant(kind)}/ok")
            await ask(kind, f"/reached-path/{plant(kind)}")
            await ask(kind, f"/reached-path/{plant(kind)}", "websocket")
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"reached-loop {plant(kind)}", "exception": RuntimeError(plant(kind))})
            thread = threading.Thread(target=loud, args=(plant(kind),), name=f"thread {plant(kind)}")
            thread.start(); thread.join()
            Bad(plant(kind)); gc.collect()
            logging.getLogger(f"reached-logger {plant(kind)}").info("hello")
        under = {"password": "token", "card": "card_number", "session": "session_id", "named": "customer_name",
                 "parameters": "db_password"}
        for kind, value in PLANTED.items():
            log.info("reached-named", **{under.get(kind, kind.replace("-", "_")): value})

    asyncio.run(main())
    assert logship.shutdown(10)
"""

REACHED = (
    "path agent message extra event bound warning cause exception handled unhandled",
    "socket loop thread unraisable logger named",
)


def test_no_planted_secret_is_in_the_events_or_in_the_journal(tmp_path: Path) -> None:
    out, state = tmp_path / "events.jsonl", tmp_path / "state"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        env={
            "PYTHONPATH": str(ROOT),
            "LOGSHIP_STATE_DIR": str(state),
            "LOGSHIP_AGENT": f"file:{out}",
            "LOGSHIP_REDACT_NAMES": "customer_name",
            "LOGSHIP_CONSOLE": "off",
        },
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    events = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    whole = out.read_text()
    assert [word for word in " ".join(REACHED).split() if f"reached-{word}" not in whole] == []
    assert_no_secrets(events, PLANTED.values())
    journals = [path.read_bytes() for path in state.rglob("*") if path.is_file()]
    assert journals
    assert_no_secrets(journals, PLANTED.values())


def test_what_is_allowed_by_name_is_recorded_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    script = """
        import asyncio, logship
        logship.configure(service="shop", instance="1", allow_headers=["x-tenant"], allow_query=["page"], allow_cookies=["theme"])
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
        async def nothing(*_): ...
        scope = {"type": "http", "path": "/", "query_string": b"page=2&q=private", "method": "GET", "http_version": "1.1",
                 "headers": [(b"x-tenant", b"acme"), (b"x-other", b"private"), (b"cookie", b"theme=dark; sid=private")]}
        asyncio.run(logship.RequestLog(app)(scope, nothing, nothing))
        assert logship.shutdown(10)
    """
    environment = {
        "PYTHONPATH": str(ROOT),
        "LOGSHIP_STATE_DIR": str(tmp_path / "state"),
        "LOGSHIP_AGENT": f"file:{out}",
        "LOGSHIP_CONSOLE": "off",
    }
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=environment, check=True, timeout=60)
    (request,) = [one for one in map(orjson.loads, out.read_bytes().splitlines()) if "url.path" in one]
    assert request["url.query"] == "page=2"
    assert request["labels"] == {"http.request.header.x-tenant": "acme", "http.request.cookie.theme": "dark"}
    assert "private" not in out.read_text()


@pytest.mark.parametrize(("how", "shown"), [("on", "192.0.2.77"), ("truncated", "192.0.2.0"), ("off", None)])
def test_client_addresses_are_whole_cut_to_their_network_or_absent(how: str, shown: str | None) -> None:
    from logship.event.client import shown_ip

    assert (shown_ip("192.0.2.77", how) or None) == shown
    assert shown_ip("2001:db8:1:2::5", "truncated") == "2001:db8:1::"
    assert shown_ip("testclient", "on") == ""
