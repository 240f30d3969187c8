"""A collector that is somewhere else, as a `Source`: the questions of `answers.py` asked over HTTP."""

import http.client
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from logship.errors import KqlError, QuestionError, SourceError
from logship.forensics.inflight import Report, Unfinished, Unseen
from logship.search.kql import text_of
from logship.search.query import (
    Bucket,
    Excerpt,
    FieldCount,
    Incarnation,
    Page,
    Query,
    Rows,
    SetAside,
    Share,
    Stat,
)

RANGES = ("stored", "damaged")
# Longer than any question should take, shorter than a person's patience with a collector that hangs.
ANSWER_SECONDS = 30.0


class HttpSource:
    """Asks the collector at `url` (http:// or https://). Any thread; each question is a connection of its own.

    `ca_file`: certificates that vouch for an https:// collector, beside the system's. Proxies of the environment are not
    used. SourceError when nobody answers there or the token is wrong, QuestionError when `ca_file` cannot be read."""

    def __init__(self, url: str, token: str = "", ca_file: str = "") -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise QuestionError(f"{url!r} is not the address of a collector; write http://HOST:PORT or https://HOST:PORT")
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._secure, self._host, self._port, self._path = parts.scheme == "https", parts.hostname, port, parts.path
        self._tls = _tls(ca_file) if parts.scheme == "https" else None
        self._headers = {"accept": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})

    def search(self, query: Query, page: Page) -> Rows:
        order = "newest" if page.newest_first else "oldest"
        more = {"columns": ",".join(page.columns) or None, "greatest": page.greatest or None, "after": page.after}
        told = self._ask("search", query, limit=page.limit, order=order, **more)
        return Rows(told["records"], told["next"])

    def tail(self, query: Query, after: str | None, limit: int = 1000) -> Rows:
        told = self._ask("arrivals", query, after=after, limit=limit)
        return Rows(told["records"], told["next"])

    def get(self, id: str) -> Excerpt:  # noqa: A002 - the word people know
        # A dot of its own would be taken for a step up in the path.
        told = self._ask(f"events/{quote(id, safe='').replace('.', '%2E')}", absent={"records": []})
        return Excerpt(told["records"], told.get("cut", False))

    def context(self, id: str, before: int, after: int, everybody: bool = False) -> Excerpt:  # noqa: A002
        who = "all" if everybody else "same"
        told = self._ask("context", None, {"records": []}, id=id, workers=who, before_events=before, after_events=after)
        return Excerpt(told["records"], told.get("cut", False))

    def count(self, query: Query) -> int:
        return int(self._ask("count", query)["count"])

    def tally(self, query: Query, by: str | None, every_ns: int | None, and_by: str | None = None) -> list[Bucket]:
        told = self._ask("tally", query, by=by, and_by=and_by, every_ns=every_ns)
        return [Bucket(**one) for one in told["buckets"]]

    def top(self, query: Query, field: str, limit: int) -> list[Share]:
        return [Share(**one) for one in self._ask("top", query, field=field, limit=limit)["values"]]

    def stats(self, query: Query, number_field: str, by: str | None, every_ns: int | None = None) -> list[Stat]:
        told = self._ask("stats", query, field=number_field, by=by, every_ns=every_ns)
        return [Stat(**one) for one in told["stats"]]

    def incarnations(self, query: Query) -> list[Incarnation]:
        told = self._ask("incarnations", query)["incarnations"]
        return [Incarnation(**one | {name: tuple(map(tuple, one[name])) for name in RANGES if name in one}) for one in told]

    def fields(self) -> list[FieldCount]:
        return [FieldCount(**one) for one in self._ask("fields")["fields"]]

    def oldest_ns(self) -> int | None:
        oldest: int | None = self._ask("oldest")["oldest_ns"]
        return oldest

    def set_aside(self) -> list[SetAside]:
        files = self._ask("set_aside", absent={"files": []})["files"]
        return [SetAside(**one | {"incarnations": tuple(one["incarnations"])}) for one in files]

    def inflight(self, query: Query, worker: str) -> Report:
        """What the collector sees of requests without an end."""
        told = self._ask("inflight", query, worker=worker or None)
        rows = [Unfinished(**one) for one in told["requests"]]
        return Report(rows, [Unseen(**one) for one in told["not_visible"]], told["sentence"])

    def health(self) -> Mapping[str, object]:
        """The collector's counters."""
        health: Mapping[str, object] = self._ask("health")
        return health

    def _ask(self, name: str, query: Query | None = None, absent: object = None, **parameters: object) -> Any:
        """The answer as JSON; `absent` instead when there is no such thing, None if there must be."""
        if query is not None:
            parameters |= {"q": text_of(query.where), "since_ns": query.since_ns, "until_ns": query.until_ns}
        given = urlencode({key: value for key, value in parameters.items() if value is not None})
        status, body = self._get(f"{self._path.rstrip('/')}/api/{name}?{given}")
        try:
            told = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise SourceError(f"{self.url} answers with something else than JSON; is it a logship collector?") from None
        if status == 200:
            return told
        sentence = str(told.get("error", "")) if isinstance(told, dict) else ""
        if status == 404 and absent is not None:
            return absent
        if status == 400:
            if "at" in told:
                raise KqlError(told["expected"], told["at"], str(parameters.get("q", "")))
            raise QuestionError(sentence)
        if status == 401:
            refused = "refuses this token; LOGSHIP_TOKEN must be the one that it was started with"
            asks = "asks for its token; set LOGSHIP_TOKEN"
            raise SourceError(f"{self.url} {refused if 'authorization' in self._headers else asks}")
        told_so = sentence or f"nothing about /api/{name}; is it a logship collector?"
        raise SourceError(f"{self.url} answers {status}: {told_so}")

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = self._connection()
        try:
            connection.request("GET", path, headers=self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except TimeoutError:
            raise SourceError(
                f"{self.url} has not answered for {ANSWER_SECONDS:g} s; a shorter span may help"
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise SourceError(
                f"the certificate of {self.url} is not trusted ({error.verify_message}); set LOGSHIP_SOURCE_CA_FILE, and"
                " use a host name that is in the certificate"
            ) from error
        except ssl.SSLError as error:
            raise SourceError(
                f"{self.url} does not speak TLS ({error.reason or error}); is it http://{self._host}:{self._port}?"
            ) from error
        except (http.client.BadStatusLine, ConnectionResetError) as error:
            other = "a Forward port (HTTP is at 24280 by default)"
            tls = "" if self._secure else f" or a port with TLS (write https://{self._host}:{self._port})"
            raise SourceError(f"{self.url} does not answer with HTTP; it may be {other}{tls}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or error
            raise SourceError(f"no collector answers at {self.url} ({reason}); start one with: logship up") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=ANSWER_SECONDS, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_SECONDS)


def _tls(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise QuestionError(f"source_ca_file {ca_file} holds no certificates that can be read: {reason}") from error
    return context
