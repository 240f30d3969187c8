"""Requests that are sent again: what a shell makes of the command is what was recorded, however hostile the client was."""

import shlex
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from shutil import which
from threading import Thread
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import QuestionError
from logship.forensics.reproduce.curl import curl
from logship.forensics.reproduce.http_file import http_file
from logship.forensics.reproduce.request import base_of, reproduction
from logship.search.query import Record

HOSTILE = (
    "/a'; touch /tmp/pwned; '", "/$(id)`id`", "/a\nrm -rf /", "/\x1b[2J\x00", "/-o/etc/passwd", "/a b?c#d%41", "/[1-9]{a,b}",
    "/\u202eabc", "//evil.example/x", "/..;/../x", "/{{$processEnv HOME}}", "-K/etc/passwd", "@/etc/passwd",
)  # fmt: skip


def record(**more: object) -> Record:
    fields = {name.replace("__", "."): value for name, value in more.items()}
    return {
        "@timestamp": "2026-11-20T14:03:00.000000000Z", "http.request.method": "GET", "url.path": "/orders/300",
        "url.scheme": "https", "url.domain": "shop.example", **fields,
    }  # fmt: skip


def words(command: str) -> list[str]:
    return shlex.split(command.replace("\\\n", ""))


def test_a_request_has_its_method_url_and_headers() -> None:
    labels = {"http.request.header.accept": "text/html", "tenant": "acme"}
    made = reproduction(
        record(http__request__method="POST", url__query="page=2&q=a+b", user_agent__original="App/1 (it's)", labels=labels)
    )
    assert curl(made) == (
        "curl --request POST 'https://shop.example/orders/300?page=2&q=a+b' \\\n"
        "  --header 'accept: text/html' \\\n"
        "  --header 'user-agent: App/1 (it'\"'\"'s)'"
    )


def test_what_was_not_recorded_is_said() -> None:
    made = reproduction(record(http__request__body__bytes=48, url__domain="", url__scheme=""))
    assert made.url == "http://HOST/orders/300"
    assert "the host (replace HOST)" in made.not_recorded
    assert "the scheme (http is assumed)" in made.not_recorded
    assert "the body (48 B)" in made.not_recorded
    assert "cookies" in made.not_recorded


def test_redacted_values_are_left_out_and_named() -> None:
    labels = {"http.request.header.authorization": "[redacted]", "http.request.header.accept": "*/*"}
    made = reproduction(record(url__query="token=%5Bredacted%5D&page=2", labels=labels, url__path="/k/[redacted:jwt]"))
    assert made.url == "https://shop.example/k/%5Bredacted:jwt%5D?page=2"
    assert [name for name, _ in made.headers] == ["accept"]
    assert "parts of the path, which are redacted" in made.not_recorded
    assert "query values that are redacted" in made.not_recorded
    assert "values of headers that are redacted or not printable: authorization" in made.not_recorded


def test_a_trace_that_the_client_sent_is_sent_again_and_one_of_ours_is_not() -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    sent = reproduction(record(trace__id=trace, parent__id=parent)).headers
    assert sent == (("traceparent", f"00-{trace}-{parent}-01"),)
    assert reproduction(record(trace__id=trace)).headers == ()
    assert reproduction(record(trace__id="x' y", parent__id=parent)).headers == ()


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_path_is_one_argument_of_the_command(path: str) -> None:
    made = reproduction(record(url__path=path))
    command = curl(made)
    arguments = words(command)
    assert arguments[:3] == ["curl", "--request", "GET"]
    assert arguments[3] == made.url
    assert arguments[4:] in ([], ["--path-as-is"])
    assert made.url.startswith("https://shop.example/")
    assert unquote(made.url.removeprefix("https://shop.example")).lstrip("/") == path.lstrip("/")
    assert command.replace("\n", "").isprintable()
    assert command.isascii()


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "\x1b]0;x\x07", "{{$processEnv HOME}}", "gr\u00fc\u00df", "[redacted:card]"])
def test_a_header_that_cannot_be_sent_as_it_was_is_left_out_and_named(value: str) -> None:
    made = reproduction(record(user_agent__original=value))
    assert made.headers == ()
    assert any("user-agent" in missing for missing in made.not_recorded)


@pytest.mark.parametrize("method", ["", "get", "GET /x", "-X", "G\nET"])
def test_a_method_that_is_none_is_refused(method: str) -> None:
    with pytest.raises(QuestionError, match="cannot be reproduced"):
        reproduction(record(http__request__method=method))


@pytest.mark.parametrize("host", ["evil.example/x", "a b", "x@y", "$(id)", "-o", "a:80:90", "h\n"])
def test_a_host_that_is_none_is_not_used(host: str) -> None:
    url = reproduction(record(url__domain=host)).url
    assert url == "https://HOST/orders/300" or (host == "-o" and url == "https://-o/orders/300")


def test_a_websocket_is_refused() -> None:
    with pytest.raises(QuestionError, match="/orders/300 is a websocket"):
        reproduction(record(network__protocol="websocket"))


@pytest.mark.parametrize("base", ["http://127.0.0.1:8000", "https://[::1]:8443", "http://staging"])
def test_another_host_may_be_given(base: str) -> None:
    assert reproduction(record(), base_of(base)).url == f"{base}/orders/300"


@pytest.mark.parametrize("base", ["staging:8000", "ftp://h", "http://h/x", "http://u@h", "http://h:no", "http://h b", "http://"])
def test_an_address_that_is_none_is_refused(base: str) -> None:
    with pytest.raises(QuestionError, match="use http://HOST:PORT"):
        base_of(base)


def test_head_does_not_wait_for_a_body() -> None:
    assert curl(reproduction(record(http__request__method="HEAD"))).startswith("curl --head ")


def test_a_file_for_rest_clients_has_one_request_after_the_other() -> None:
    failed = record(http__request__id="r1\n< /etc/passwd", http__response__status_code=500)
    text = http_file([failed, record(user_agent__original="A/1")])
    first, second = text.split("### ")[1:]
    assert first.splitlines()[0] == "2026-11-20T14:03:00Z status 500 id r1\\n< /etc/passwd"
    assert first.splitlines()[1].startswith("# not recorded: ")
    assert first.splitlines()[2:] == ["GET https://shop.example/orders/300 HTTP/1.1", "", ""]
    assert second.splitlines()[2:4] == ["GET https://shop.example/orders/300 HTTP/1.1", "user-agent: A/1"]


@given(st.text(max_size=60), st.text(max_size=30), st.text(max_size=30))
def test_no_client_can_add_an_argument_or_a_line(path: str, agent: str, query: str) -> None:
    given = record(url__path=f"/{path}", user_agent__original=agent, url__query=query)
    made = reproduction(given)
    arguments = words(curl(made))
    assert arguments[3] == made.url
    assert [word for word in arguments[4:] if word not in ("--header", "--path-as-is")] == [
        f"{name}: {value}" if value.strip() else f"{name};" for name, value in made.headers
    ]
    body = [line for line in http_file([given]).splitlines() if line]
    assert len(body) == 3 + len(made.headers)


@pytest.mark.skipif(which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("path", HOSTILE)
def test_a_server_gets_from_curl_what_was_recorded(path: str) -> None:
    got: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            got.append((self.requestline.split(" ")[1], self.headers["user-agent"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.handle_request, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        made = reproduction(record(url__path=path, user_agent__original="it's $HOME"), base)
        done = subprocess.run(["sh", "-c", f"{curl(made)} --silent --noproxy '*'"], capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    ((target, agent),) = got
    assert unquote(target).lstrip("/") == path.lstrip("/")
    assert agent == "it's $HOME"
