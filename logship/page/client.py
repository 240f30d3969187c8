"""A remote collector as a `Source`: the queries of `api/queries.py` over HTTP."""

import functools
import http.client
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, cast
from urllib.parse import quote, urlencode, urlsplit

import orjson

from logship import __version__
from logship.errors import KqlError, QuestionError, SourceError
from logship.forensics.inflight import Report, Unfinished, Unseen
from logship.search.integrity import Anchor, Flaw, Integrity
from logship.search.kql import text_of
from logship.search.query import (
    Bucket,
    Excerpt,
    FieldCount,
    Group,
    Hour,
    Incarnation,
    Page,
    Query,
    Rows,
    SetAside,
    Share,
    Stat,
)

P = ParamSpec("P")
T = TypeVar("T")

RANGES = ("stored", "damaged")
# Of 170 characters each: an address of more than 64 KB is refused.
ANCHORS = 200
# More than any query should take; a user does not wait longer for a collector that hangs.
RESPONSE_SECONDS = 30.0


def _same_version(query: Callable[P, T]) -> Callable[P, T]:
    """Report a response of another form than this version knows as that of another version."""

    @functools.wraps(query)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return query(*args, **kwargs)
        except (KeyError, TypeError) as error:
            source = cast("HttpSource", args[0])
            raise SourceError(
                f"{source.url} runs another version of logship than this command ({__version__}), and its response to this"
                " query has a different format; use the same version on both sides"
            ) from error

    return checked


class HttpSource:
    """Queries the collector at `url` (http:// or https://). Thread-safe; each query opens a connection.

    `ca_file`: CA certificates for https://, besides the system's. Proxy settings of the environment are ignored.
    SourceError if the collector is unreachable or rejects the token, QuestionError if `ca_file` cannot be read."""

    def __init__(self, url: str, token: str = "", ca_file: str = "") -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise QuestionError(f"{url!r} is not the address of a collector: use http://HOST:PORT or https://HOST:PORT")
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._secure, self._host, self._port, self._path = parts.scheme == "https", parts.hostname, port, parts.path
        self._tls = _tls(ca_file) if parts.scheme == "https" else None
        self._headers = {"accept": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})

    @_same_version
    def search(self, query: Query, page: Page) -> Rows:
        order = "newest" if page.newest_first else "oldest"
        more = {"columns": ",".join(page.columns) or None, "greatest": page.greatest or None, "after": page.after}
        body = self._ask("search", query, limit=page.limit, order=order, **more)
        return Rows(body["records"], body["next"])

    @_same_version
    def tail(self, query: Query, after: str | None, limit: int = 1000) -> Rows:
        body = self._ask("arrivals", query, after=after, limit=limit)
        return Rows(body["records"], body["next"])

    @_same_version
    def get(self, id: str) -> Excerpt:  # noqa: A002 - as in `Source`
        # The id ".." would be resolved as a path.
        body = self._ask(f"events/{quote(id, safe='').replace('.', '%2E')}", absent={"records": []})
        return Excerpt(body["records"], body.get("cut", False))

    @_same_version
    def context(self, id: str, before: int, after: int, everybody: bool = False) -> Excerpt:  # noqa: A002
        who = "all" if everybody else "same"
        body = self._ask("context", None, {"records": []}, id=id, workers=who, before_events=before, after_events=after)
        return Excerpt(body["records"], body.get("cut", False))

    @_same_version
    def count(self, query: Query) -> int:
        return int(self._ask("count", query)["count"])

    @_same_version
    def tally(self, query: Query, by: str | None, every_ns: int | None, and_by: str | None = None) -> list[Bucket]:
        body = self._ask("tally", query, by=by, and_by=and_by, every_ns=every_ns)
        return [Bucket(**bucket) for bucket in body["buckets"]]

    @_same_version
    def groups(self, query: Query, by: Sequence[str], every_ns: int | None = None) -> list[Group]:
        body = self._ask("groups", query, by=",".join(by) or None, every_ns=every_ns)
        return [Group(tuple(group["keys"]), group["starts_ns"], group["counts"]) for group in body["groups"]]

    @_same_version
    def top(self, query: Query, field: str, limit: int) -> list[Share]:
        return [Share(**share) for share in self._ask("top", query, field=field, limit=limit)["values"]]

    @_same_version
    def stats(self, query: Query, number_field: str, by: str | None, every_ns: int | None = None) -> list[Stat]:
        body = self._ask("stats", query, field=number_field, by=by, every_ns=every_ns)
        return [Stat(**stat) for stat in body["stats"]]

    @_same_version
    def incarnations(self, query: Query) -> list[Incarnation]:
        rows = self._ask("incarnations", query)["incarnations"]
        return [
            Incarnation(**row | {name: tuple(map(tuple, row[name])) for name in RANGES if name in row}) for row in rows
        ]

    @_same_version
    def fields(self, query: Query | None = None) -> list[FieldCount]:
        return [FieldCount(**field) for field in self._ask("fields", query)["fields"]]

    @_same_version
    def oldest_ns(self) -> int | None:
        oldest: int | None = self._ask("oldest")["oldest_ns"]
        return oldest

    @_same_version
    def set_aside(self) -> list[SetAside]:
        files = self._ask("set_aside", absent={"files": []})["files"]
        return [SetAside(**file | {"incarnations": tuple(file["incarnations"])}) for file in files]

    @_same_version
    def hours(self, since_ns: int, until_ns: int) -> list[Hour]:
        body = self._ask("hours", None, {"hours": []}, since_ns=since_ns, until_ns=until_ns)
        return [Hour(**hour) for hour in body["hours"]]

    @_same_version
    def integrity(self, query: Query, anchors: Sequence[Anchor] = ()) -> Integrity:
        """Return the verdict on the files of the store. QuestionError for more anchors than fit into a request."""
        if len(anchors) > ANCHORS:
            raise QuestionError(f"{len(anchors)} anchors are too many for a request: pass at most {ANCHORS}")
        body = self._ask("integrity", query, absent={}, anchor="\n".join(map(str, anchors)) or None)
        if not body:
            return Integrity("unknown", f"{self.url} is an older collector, which keeps no chain of digests")
        body.pop("hints", None)
        return Integrity(**body | {"flaws": tuple(Flaw(**flaw) for flaw in body["flaws"])})

    @_same_version
    def anchor(self) -> Anchor:
        """Return the newest record of the store's chain."""
        return Anchor(**self._ask("anchor"))

    @_same_version
    def inflight(self, query: Query, worker: str) -> Report:
        """Return the running and interrupted requests that the collector knows of."""
        body = self._ask("inflight", query, worker=worker or None)
        requests = [Unfinished(**request) for request in body["requests"]]
        return Report(requests, [Unseen(**worker) for worker in body["not_visible"]], body["sentence"])

    @_same_version
    def health(self) -> Mapping[str, object]:
        """Return the counters of the collector."""
        health: Mapping[str, object] = self._ask("health")
        return health

    def _ask(self, name: str, query: Query | None = None, absent: object = None, **parameters: object) -> Any:
        """Return the JSON of the response; for 404 `absent`, or SourceError if that is None."""
        if query is not None:
            parameters |= {"q": text_of(query.where), "since_ns": query.since_ns, "until_ns": query.until_ns}
        given = urlencode({key: value for key, value in parameters.items() if value is not None})
        status, received = self._get(f"{self._path.rstrip('/')}/api/{name}?{given}")
        try:
            body = orjson.loads(received)
        except orjson.JSONDecodeError:
            raise SourceError(f"the response of {self.url} is not JSON; is it a logship collector?") from None
        if status == 200:
            return body
        if status == 404 and absent is not None:
            return absent
        raise self._error(status, body, f"/api/{name}", str(parameters.get("q", "")))

    def _error(self, status: int, body: Any, path: str, q: str) -> QuestionError | SourceError:
        message = str(body.get("error", "")) if isinstance(body, dict) else ""
        if status == 400:
            return KqlError(body["expected"], body["at"], q) if "at" in body else QuestionError(message)
        if status == 401 and "authorization" in self._headers:
            return SourceError(f"{self.url} rejects this token; set LOGSHIP_TOKEN to the token of the collector")
        if status == 401:
            return SourceError(f"{self.url} requires a token; set LOGSHIP_TOKEN")
        unknown = f"no message for {path}; is it a logship collector?"
        return SourceError(f"{self.url} responded with status {status}: {message or unknown}")

    def _get(self, path: str) -> tuple[int, bytes]:
        """Return status and body. SourceError if the collector is unreachable or does not respond in time."""
        connection = self._connection()
        try:
            connection.request("GET", path, headers=self._headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(self._unreachable(error)) from error
        finally:
            connection.close()

    def _unreachable(self, error: Exception) -> str:
        place = f"{self._host}:{self._port}"
        if isinstance(error, TimeoutError):
            return f"no response from {self.url} within {RESPONSE_SECONDS:g} s; try a shorter time range"
        if isinstance(error, ssl.SSLCertVerificationError):
            return (
                f"the certificate of {self.url} is not trusted ({error.verify_message}); set LOGSHIP_SOURCE_CA_FILE, and"
                " use a host name that is in the certificate"
            )
        if isinstance(error, ssl.SSLError):
            return f"{self.url} does not use TLS ({error.reason or error}); is it http://{place}?"
        if isinstance(error, http.client.BadStatusLine | ConnectionResetError):
            tls = "" if self._secure else f" or a port with TLS (use https://{place})"
            return f"{self.url} does not respond with HTTP; is it a Forward port (HTTP is at 24280 by default){tls}?"
        reason = getattr(error, "strerror", None) or error
        return f"no collector answers at {self.url} ({reason}); start one with: logship up"

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=RESPONSE_SECONDS, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=RESPONSE_SECONDS)


def _tls(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise QuestionError(f"source_ca_file {ca_file}: cannot read certificates: {reason}") from error
    return context
