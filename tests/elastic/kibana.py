"""A stand-in for Kibana's APIs for saved objects and alerting rules: it answers as Kibana does, from an own memory."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.elastic import kibana_rules

Answer = tuple[int, object]


class Kibana:
    """What it has, what it was asked, and how it behaves: `waits` answers of 503 first, `refuses` an object by its id."""

    def __init__(self) -> None:
        self.url, self.waits, self.refuses, self.forgets = "", 0, "", ""
        self.version: str | None = "8.19.21"
        self.users: dict[str, int] = {}  # an Authorization header and the status that it gets; empty: no security
        self.objects: dict[str, dict[str, Any]] = {}
        self.default: str | None = None
        self.rules: dict[str, dict[str, Any]] = {}
        self.encrypted = True
        self.asked: list[str] = []

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.asked.append(f"{method} {path}")
        if path == "/api/status":
            return self._status()
        if self.users and self.users.get(headers.get("authorization", ""), 401) != 200:
            status = self.users.get(headers.get("authorization", ""), 401)
            return status, {"statusCode": status, "message": "Unable to bulk_create index-pattern"}
        if method != "GET" and "kbn-xsrf" not in headers:
            return 400, {"statusCode": 400, "message": "Request must contain a kbn-xsrf header."}
        if path == "/api/alerting/_health":
            return 200, {"is_sufficiently_secure": True, "has_permanent_encryption_key": self.encrypted}
        if path.startswith("/api/alerting/rule/"):
            return self._rule(method, path.rpartition("/")[2], body)
        return {
            "/api/saved_objects/_import?overwrite=true": self._import,
            "/api/saved_objects/_export": self._export,
            "/api/data_views/default": self._default,
        }[path](body)

    def _status(self) -> Answer:
        if self.waits:
            self.waits -= 1
            return 503, "Kibana server is not ready yet" if self.waits % 2 else {
                "status": {"overall": {"level": "critical"}}
            }
        known = {"version": {"number": self.version}} if self.version else {}
        return 200, known | {"status": {"overall": {"level": "available"}}}

    def _import(self, body: bytes) -> Answer:
        head, _, rest = body.partition(b"\r\n\r\n")
        named = re.search(rb'name="file"; filename="([^"]+)"', head)
        if named is None or not named[1].endswith(b".ndjson"):
            return 400, {"statusCode": 400, "message": "Invalid file extension"}
        lines = rest[: rest.rindex(b"\r\n--")].splitlines()
        given = [one for one in map(json.loads, filter(None, lines)) if "type" in one]
        bad = [one for one in given if one["id"] == self.refuses]
        if bad:
            errors = [{"type": one["type"], "id": one["id"], "error": {"type": "missing_references"}} for one in bad]
            return 200, {"success": False, "successCount": 0, "errors": errors}
        for one in given:
            if one["id"] != self.forgets:
                self.objects[f"{one['type']}/{one['id']}"] = one | {"updated_at": "now", "version": "WzEsMV0="}
        return 200, {"success": True, "successCount": len(given), "warnings": [], "successResults": []}

    def _export(self, body: bytes) -> Answer:
        wanted = [f"{one['type']}/{one['id']}" for one in json.loads(body)["objects"]]
        if any(name not in self.objects for name in wanted):
            return 400, {"statusCode": 400, "message": "Error fetching objects to export"}
        lines = [self.objects[name] for name in wanted]
        return 200, [*lines, {"exportedCount": len(lines), "missingRefCount": 0, "missingReferences": []}]

    def _rule(self, method: str, name: str, body: bytes) -> Answer:
        there = self.rules.get(name)
        if there is None and method != "POST":
            return 404, {"statusCode": 404, "error": "Not Found", "message": f"Saved object [alert/{name}] not found"}
        if method == "GET":
            return 200, there
        if method == "POST" and there is not None:
            return 409, {"statusCode": 409, "message": f"Saved object [alert/{name}] conflict"}
        told = json.loads(body)
        wrong = kibana_rules.invalid(told, new=method == "POST")
        if wrong:
            return 400, {"statusCode": 400, "error": "Bad Request", "message": wrong}
        self.rules[name] = (there or {}) | kibana_rules.stored(told, name)
        return 200, self.rules[name]

    def _default(self, body: bytes) -> Answer:
        told = json.loads(body)
        if self.default is None or told["force"]:
            self.default = told["data_view_id"]
        return 200, {"acknowledged": True}


@contextmanager
def running() -> Iterator[Kibana]:
    """It, behind a real socket."""
    kibana = Kibana()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, told = kibana.answer(self.command, self.path, headers, body)
            if isinstance(told, list):
                data = "\n".join(map(json.dumps, told)).encode()
            else:
                data = told.encode() if isinstance(told, str) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self.do_POST()

        def do_PUT(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kibana.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield kibana
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
