"""The way to Elasticsearch: the official client as settings say, and its errors as sentences.

Nothing here asks `info()` or `ping()`: both need rights that a reader has not, and fail on healthy servers."""

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import elasticsearch
from elastic_transport.client_utils import DEFAULT
from elasticsearch import Elasticsearch

from logship.errors import ElasticError, SettingsError
from logship.settings import Settings

TIMEOUT_SECONDS: Final = 60.0
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
        raise SettingsError(f"elastic_ca_file vouches for https:// only, and elastic_url is {url!r}")
    if settings.elastic_ca_file and not Path(settings.elastic_ca_file).is_file():
        raise SettingsError(f"elastic_ca_file names {settings.elastic_ca_file}, and there is no such file")
    if settings.elastic_api_key and settings.elastic_user:
        raise SettingsError("elastic_api_key and elastic_user are both set: one of them says who asks")
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
        raise SettingsError(f"no way to Elasticsearch at {url}: {error}") from error


@contextmanager
def translated(settings: Settings, doing: str) -> Iterator[None]:
    """Errors of the client leave this block as ElasticError that says what was being done and what to do next."""
    url = settings.elastic_url
    try:
        yield
    except elasticsearch.UnsupportedProductError as error:
        raise ElasticError(f"what answers at {url} is not Elasticsearch: check LOGSHIP_ELASTIC_URL") from error
    except elasticsearch.ApiError as error:
        raise _refused(error, settings, doing) from error
    except elasticsearch.SerializationError as error:
        raise ElasticError(f"what answers at {url} is not Elasticsearch: check LOGSHIP_ELASTIC_URL") from error
    except elasticsearch.TransportError as error:
        raise ElasticError(f"Elasticsearch cannot be reached at {url} ({_cause(error)}), while {doing}") from error


def _refused(error: elasticsearch.ApiError, settings: Settings, doing: str) -> ElasticError:
    url, status = settings.elastic_url, error.status_code
    if status not in (401, 403) and PRODUCT_HEADER not in error.meta.headers:
        return ElasticError(f"what answers at {url} ({status}) is not Elasticsearch: check LOGSHIP_ELASTIC_URL", status)
    if status == 401:
        who = "the API key" if settings.elastic_api_key else f"user {settings.elastic_user!r}"
        if not settings.elastic_api_key and not settings.elastic_user:
            return ElasticError(
                f"Elasticsearch at {url} wants to know who asks: set LOGSHIP_ELASTIC_API_KEY, or LOGSHIP_ELASTIC_USER and "
                "LOGSHIP_ELASTIC_PASSWORD",
                status,
            )
        return ElasticError(f"Elasticsearch at {url} does not accept {who}: wrong, expired or disabled", status)
    if status == 403:
        return ElasticError(f"Elasticsearch at {url} does not allow {doing}: {reason(error)}", status)
    return ElasticError(f"Elasticsearch at {url} answered {status} while {doing}: {reason(error)}", status)


def reason(error: elasticsearch.ApiError) -> str:
    """What the server said, innermost cause first; one line."""
    said: list[str] = []
    told = error.body.get("error") if isinstance(error.body, dict) else None
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
