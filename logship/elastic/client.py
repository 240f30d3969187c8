"""Clients of Elasticsearch and Kibana, made from the settings, and their errors as sentences.

Nothing here calls `info()` or `ping()`: both need rights that a reader lacks, and fail on healthy servers."""

import base64
import http.client
import json
import logging
import ssl
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import elasticsearch
from elastic_transport.client_utils import DEFAULT
from elasticsearch import Elasticsearch

from logship.errors import ElasticError, SettingsError
from logship.settings import Settings

TIMEOUT_SECONDS: Final = 60.0
KIBANA_OLDEST: Final = (8, 17)
KIBANA_BEYOND: Final = (10,)
KIBANA_SECONDS: Final = 300.0  # from its start until it answers, on a small machine
KIBANA_POLL_SECONDS: Final = 2.0
PRODUCT_HEADER: Final = "x-elastic-product"

# It tells every failed try with a traceback on stderr where nobody has set up logging; the error says it once.
logging.getLogger("elastic_transport").addHandler(logging.NullHandler())


@contextmanager
def connect(settings: Settings) -> Iterator[Elasticsearch]:
    """A client, closed at the end. It connects with the first question, not here. SettingsError for an unusable address."""
    with made(settings) as client:
        yield client


def made(settings: Settings) -> Elasticsearch:
    """A client that the caller closes."""
    url = settings.elastic_url
    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"elastic_url takes http://HOST:PORT or https://HOST:PORT, not {url!r}")
    if settings.elastic_ca_file and not url.startswith("https://"):
        raise SettingsError(f"elastic_ca_file is for https:// only, and elastic_url is {url!r}: unset one of them or use https://")
    if settings.elastic_ca_file and not Path(settings.elastic_ca_file).is_file():
        raise SettingsError(f"elastic_ca_file: the file {settings.elastic_ca_file} does not exist")
    if settings.elastic_api_key and settings.elastic_user:
        raise SettingsError("elastic_api_key and elastic_user are both set; use one of them")
    try:
        return Elasticsearch(
            url,
            api_key=settings.elastic_api_key or None,
            basic_auth=(settings.elastic_user, settings.elastic_password) if settings.elastic_user else None,
            request_timeout=TIMEOUT_SECONDS,
            max_retries=2,
            ca_certs=settings.elastic_ca_file or DEFAULT,
        )
    except (ValueError, OSError) as error:
        raise SettingsError(f"cannot connect to Elasticsearch at {url}: {error}") from error


@contextmanager
def translated(settings: Settings, doing: str) -> Iterator[None]:
    """Errors of the client leave this block as ElasticError that says what was being done and what to do next."""
    url = settings.elastic_url
    try:
        yield
    except elasticsearch.UnsupportedProductError as error:
        raise ElasticError(f"the server at {url} is not Elasticsearch: check LOGSHIP_ELASTIC_URL") from error
    except elasticsearch.ApiError as error:
        raise _refused(error, settings, doing) from error
    except elasticsearch.SerializationError as error:
        raise ElasticError(f"the server at {url} is not Elasticsearch: check LOGSHIP_ELASTIC_URL") from error
    except elasticsearch.TransportError as error:
        raise ElasticError(f"Elasticsearch cannot be reached at {url} ({_cause(error)}), while {doing}") from error


def _refused(error: elasticsearch.ApiError, settings: Settings, doing: str) -> ElasticError:
    url, status = settings.elastic_url, error.status_code
    if status not in (401, 403) and PRODUCT_HEADER not in error.meta.headers:
        return ElasticError(f"the server at {url} (status {status}) is not Elasticsearch: check LOGSHIP_ELASTIC_URL", status)
    if status == 401:
        who = "the API key" if settings.elastic_api_key else f"user {settings.elastic_user!r}"
        if not settings.elastic_api_key and not settings.elastic_user:
            return ElasticError(
                f"Elasticsearch at {url} requires authentication: set LOGSHIP_ELASTIC_API_KEY, or LOGSHIP_ELASTIC_USER and "
                "LOGSHIP_ELASTIC_PASSWORD",
                status,
            )
        return ElasticError(f"Elasticsearch at {url} does not accept {who}: wrong, expired or disabled", status)
    if status == 403:
        return ElasticError(f"Elasticsearch at {url} does not allow {doing}: {reason(error)}", status)
    return ElasticError(f"Elasticsearch at {url} responded with status {status} while {doing}: {reason(error)}", status)


def reason(error: elasticsearch.ApiError) -> str:
    """What the server said, innermost cause first; one line."""
    said: list[str] = []
    told = error.body.get("error") if isinstance(error.body, dict) else None
    if isinstance(told, dict) and told.get("type") == "search_phase_execution_exception" and told.get("root_cause"):
        told = told["root_cause"][0]  # itself it says "all shards failed"
    while isinstance(told, dict):
        if told.get("reason"):
            said.insert(0, str(told["reason"]))
        told = told.get("caused_by")
    if isinstance(told, str):
        said.append(told)
    return "; ".join(dict.fromkeys(said)) or error.message


def _cause(error: elasticsearch.TransportError) -> str:
    """What the machine said, without the names of the classes around it."""
    inner: BaseException | None = error
    said = ""
    while inner is not None:
        if isinstance(inner, ssl.SSLError):
            said = getattr(inner, "verify_message", "") or (inner.reason or "").lower().replace("_", " ")
        elif isinstance(inner, OSError) and inner.strerror:
            said = inner.strerror
        inner = inner.__cause__ or inner.__context__
    if not said and isinstance(error, elasticsearch.ConnectionTimeout):
        said = f"no answer for {TIMEOUT_SECONDS:.0f} s"
    return said.strip() or type(error).__name__


class Kibana:
    """Kibana's HTTP API, with the user or the API key of Elasticsearch. `sleep` is for tests that do not wait."""

    def __init__(self, settings: Settings, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings, self._sleep, self.url = settings, sleep, settings.kibana_url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise SettingsError(f"kibana_url takes http://HOST:PORT or https://HOST:PORT, not {self.url!r}")

    def wait(self, seconds: float = KIBANA_SECONDS) -> str:
        """Return its version once it is ready, empty if it does not report one. ElasticError when it is not ready in time, is of
        a version that was not tested, or is not Kibana."""
        deadline = time.monotonic() + seconds
        while True:
            status, told = 0, dict[str, Any]()
            try:
                status, told = self.ask("GET", "/api/status")
                why = f"status {status}"
            except ElasticError as error:
                why = str(error)
            level = _at(told, "status", "overall", "level")
            if status == 200 and level == "available":
                return self._fine(str(_at(told, "version", "number") or ""))
            if status in (401, 403):
                raise ElasticError(f"Kibana at {self.url} does not accept {_who(self._settings)} ({status})", status)
            if status and status != 503 and not level:
                raise ElasticError(
                    f"the server at {self.url} (status {status}) is not Kibana: check LOGSHIP_KIBANA_URL", status
                )
            if time.monotonic() >= deadline:
                raise ElasticError(
                    f"Kibana at {self.url} is not ready after {seconds:.0f} s: {level or why}. Nothing was imported; "
                    "retry when it is ready"
                )
            self._sleep(KIBANA_POLL_SECONDS)

    def bring(self, lines: bytes) -> int:
        """Import an export, over what is there of it; look that all of it is there; return how many objects.

        ElasticError names the object that was not taken."""
        names = objects_of(lines)
        mark = uuid.uuid4().hex
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="logship.ndjson"\r\n'
        body = f"{head}Content-Type: application/ndjson\r\n\r\n".encode() + lines + f"\r\n--{mark}--\r\n".encode()
        path, kind = "/api/saved_objects/_import?overwrite=true", f"multipart/form-data; boundary={mark}"
        told = self.must("importing dashboards", *self.ask("POST", path, body, kind))
        if told.get("success") is not True or told.get("successCount") != len(names):
            raise ElasticError(
                f"Kibana at {self.url} imported only {told.get('successCount')} of {len(names)} objects: {_refusals(told)}"
            )
        there = self.there(lines)
        if there is None or len(there) != len(names):
            raise ElasticError(
                f"Kibana at {self.url} reported success, but has {len(there or {})} of {len(names)} objects: import again"
            )
        return len(names)

    def there(self, lines: bytes) -> dict[str, Any] | None:
        """The attributes of these objects as Kibana has them, by type and id; None when some are not there."""
        wanted = [dict(zip(("type", "id"), name.split("/", 1), strict=True)) for name in objects_of(lines)]
        body = json.dumps({"objects": wanted, "includeReferencesDeep": True}).encode()
        status, told = self.ask("POST", "/api/saved_objects/_export", body, "application/json")
        if status == 400:
            return None
        exported = self.must("exporting dashboards", status, told).get("lines", [])
        if not exported or exported[-1].get("missingRefCount", 0):
            return None
        return {f"{one['type']}/{one['id']}": one.get("attributes") for one in exported if "type" in one}

    def default_view(self, name: str) -> None:
        """Make this data view the default, where nobody has chosen one."""
        body = json.dumps({"data_view_id": name, "force": False}).encode()
        self.must(
            "choosing a default data view", *self.ask("POST", "/api/data_views/default", body, "application/json")
        )

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> tuple[int, dict[str, Any]]:
        """One request: status and answer, an export as {"lines": [...]}. ElasticError when nobody is there."""
        request = urllib.request.Request(self.url + path, data=body, method=method, headers={"kbn-xsrf": "logship"})  # noqa: S310
        if kind:
            request.add_header("content-type", kind)
        if key := self._settings.elastic_api_key:
            request.add_header("authorization", f"ApiKey {key}")
        elif user := self._settings.elastic_user:
            pair = f"{user}:{self._settings.elastic_password}".encode()
            request.add_header("authorization", "Basic " + base64.b64encode(pair).decode())
        trust = None
        if self.url.startswith("https://"):
            trust = ssl.create_default_context(cafile=self._settings.elastic_ca_file or None)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=trust) as answer:  # noqa: S310
                return answer.status, _parsed(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _parsed(error.read())
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "reason", error)
            raise ElasticError(
                f"Kibana cannot be reached at {self.url} ({getattr(why, 'strerror', None) or why})"
            ) from error

    def _fine(self, version: str) -> str:
        numbers = tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())
        if version and not KIBANA_OLDEST <= numbers < KIBANA_BEYOND:
            raise ElasticError(f"Kibana at {self.url} is {version}; logship's dashboards are made for 8.17 to 9.x")
        return version

    def must(self, doing: str, status: int, told: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of `ask`; ElasticError that says what was being done, unless its status is 200."""
        if status in (401, 403):
            who = _who(self._settings)
            raise ElasticError(
                f"Kibana at {self.url} does not allow {doing} {who}: {told.get('message', status)}", status
            )
        if status != 200:
            raise ElasticError(
                f"Kibana at {self.url} responded with status {status} while {doing}: {told.get('message', '')}", status
            )
        return told


def objects_of(lines: bytes) -> list[str]:
    """Type and id of every object of an export, without the line that counts them."""
    found = (json.loads(line) for line in lines.splitlines() if line.strip())
    return [f"{one['type']}/{one['id']}" for one in found if "type" in one]


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        told = [json.loads(line) for line in body.splitlines() if line.strip()]
    except ValueError:
        return {"message": body[:200].decode(errors="replace")}
    return told[0] if len(told) == 1 and isinstance(told[0], dict) and "type" not in told[0] else {"lines": told}


def _refusals(told: dict[str, Any]) -> str:
    errors = [f"{one.get('type')} {one.get('id')}: {_at(one, 'error', 'type')}" for one in told.get("errors", [])]
    return ", ".join(errors[:3]) or "no reason given"


def _who(settings: Settings) -> str:
    if settings.elastic_api_key:
        return "with this API key"
    return f"as user {settings.elastic_user!r}" if settings.elastic_user else "without a user (set LOGSHIP_ELASTIC_USER)"


def _at(told: Any, *path: str) -> Any:
    for name in path:
        told = told.get(name) if isinstance(told, dict) else None
    return told
