"""A webhook: one POST of JSON. Its address is a secret, because it is the right to post: messages show only its host."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from logship import __version__
from logship.errors import SettingsError
from logship.forensics.watch.notices import WebhookFormat

SECONDS = 10.0
SLACK_HOST = "hooks.slack.com"
USE = "use http://HOST/PATH or https://HOST/PATH (the value is a secret and not shown)"


@dataclass(frozen=True, slots=True, repr=False)
class Webhook:
    """`shown`: what messages may have of the address."""

    url: str
    format: WebhookFormat
    shown: str

    def post(self, body: Mapping[str, Any], id_: str) -> str:
        """Send the body. Return "" if the other end accepted it, else the reason why it did not.

        `id_`: sent as Idempotency-Key, so that a repetition can be recognized."""
        headers = {"content-type": "application/json", "user-agent": f"logship/{__version__}", "idempotency-key": id_}
        try:
            request = urllib.request.Request(self.url, orjson.dumps(body), headers, method="POST")  # noqa: S310 - `webhook` checked it
            with _opener().open(request, timeout=SECONDS):
                return ""
        except urllib.error.HTTPError as error:
            error.close()
            return f"it responded with status {error.code}"
        except urllib.error.URLError as error:
            return str(error.reason)
        except TimeoutError:
            return f"no response within {SECONDS:g} s"
        except (OSError, http.client.HTTPException, ValueError) as error:
            return type(error).__name__  # the text of some of these errors has the address


def webhook(url: str, format_: WebhookFormat | None) -> Webhook:
    """Return the webhook at an address, for Slack if it is one of Slack's or `format_` says so. SettingsError if unusable."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise SettingsError(f"--webhook (LOGSHIP_WEBHOOK): invalid address: {USE}")
    if parts.username is not None:
        raise SettingsError(f"--webhook (LOGSHIP_WEBHOOK): an address with a user name is not supported: {USE}")
    chosen: WebhookFormat = format_ or ("slack" if parts.hostname == SLACK_HOST else "generic")
    return Webhook(url, chosen, f"{parts.scheme}://{parts.netloc}/...")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: the finding would go to a host that nobody named, or as a GET without a body."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoRedirects)
