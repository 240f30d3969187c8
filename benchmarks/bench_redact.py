"""Measure redaction: the quick check and the redactor for each kind of text, and the growth of cost for hostile texts.

python benchmarks/bench_redact.py [--quick]"""

import argparse
from collections.abc import Callable
from time import thread_time_ns

from machine import table

from logship.event.redact import Redactor, suspicious, suspicious_text

TEXTS = {
    "short message": "order placed",
    "message with numbers": "worker 3 of 4 took 12 orders in 40 seconds",
    "long message": "the order was packed by the second shift and leaves the house with the next van, so all is well "
    * 2,
    "message with an id": "order 550e8400-e29b-41d4-a716-446655440000 was packed",
    "message with pairs": "user=ann items=3 total=12.50 currency=EUR",
    "JSON": '{"user": "ann", "items": [{"sku": "4711", "count": 2}], "total": 12.5, "note": "leave it at the door"}',
    "user agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
    "stack trace": '  File "/usr/lib/python3.11/site-packages/starlette/routing.py", line 715, in __call__\n'
    "    await self.middleware_stack(scope, receive, send)\n" * 20,
    "with a password": "login user=ann password=hunter2xyz failed",
    "with a token": "cloned with ghp" + "_abcdefghijklmnopqrstuvwxyz0123456789",
    "SQL parameters": "[SQL: INSERT INTO u (name, pw) VALUES (?, ?)] [parameters: ('bob', 'hunter2xyz')]",
}
PATHS = {"usual path": b"/orders/123/items", "long path": b"/api/v1/organisations/acme-corporation/members/8123412"}
# Each is repeated up to the size. A careless pattern would backtrack at each position.
HOSTILE = (
    *(
        "a",
        "a ",
        "a= ",
        "a:",
        " ",
        "\t",
        "\n",
        '"',
        "'",
        "\\",
        '\\\\"',
        "(",
        "[",
        "{",
        ")",
        ",",
        "-",
        "--a ",
        "_",
        ".",
        "/",
        "//",
        "@",
        ":",
    ),
    *(
        "=",
        "%25",
        "%3D",
        "&",
        "&a",
        "&a=",
        "&quot;",
        "&#34;",
        "\\u0070",
        "\\x70",
        "<a>",
        "<a ",
        "<password>",
        "</",
        "<password>x<",
    ),
    *(
        "password= ",
        "password=",
        "password:\n",
        "password:\n - ",
        "password: |\n x\n",
        "password='",
        'password="\\',
        "password:(",
    ),
    *(
        "password:[",
        "('password',",
        "'a',",
        "('a', 'b'): ",
        "password\t",
        "password|",
        "password is ",
        "password 'x",
        "identified by ",
    ),
    *(
        "identified with a ",
        "a_",
        "eyJ",
        "eyJaaaaaa.",
        "ghp_",
        "sk-",
        "SG.aaaaaaaaaaaaaaaaaaaaaa.",
        "AKIA",
        "MTaaaaaaaaaaaaaaaaaaaaaaaaaa.",
    ),
    *(
        "Q~",
        "1:A",
        "11111:A",
        ":APA91b",
        "t1.aaaaaaaaaaaaaaaaaaaaa",
        "sc_aaaaa.aaaa.acc-",
        "$2b$12$",
        "$argon2id$m=1,t=1,p=1$aaaaaaaa$",
        "$1$a$",
    ),
    *(
        "scrypt:1:1:1$",
        "ecret ",
        "AKIA aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "://",
        "://a:",
        "://a@",
        "://a:b@",
        "http://a:b/c@",
    ),
    *(
        "host:",
        "host=a:",
        "host=a:b@",
        "/reset/",
        "/reset/aaaaaaaaaaaaaaaa",
        "/verify/a1",
        "curl -u ",
        "curl ",
        "mysql -p ",
        "mysql -",
    ),
    *(
        "bearer ",
        "basic ",
        "Authorization: ",
        "Cookie: ",
        "Cookie:a=",
        "1",
        "1-",
        "111 ",
        "4111 ",
        "4111111111111111",
        "4.",
        "imei ",
    ),
    *(
        'form-data; name="a"',
        'form-data; name="password"\n\n',
        "form-data;",
        "name=",
        "name=password ",
        "name=password,",
        "name: a, ",
        "'loc': ('",
    ),
    *(
        "'loc': ('password'",
        "'loc': ('a', 'password'), ",
        "password\n  x [type=",
        "[parameters: ",
        "[parameters: (",
        "[generated in 1s] (",
    ),
    *(
        "(a) VALUES ",
        "(password) VALUES (",
        "(password) VALUES (1), ",
        "-----BEGIN PRIVATE KEY-----",
        "[redacted:",
        "[redacted]",
        "arn:a:secret:",
    ),
    *("\uff1a", "password\uff1a", "\u00a0", "4111\u00a0", "algolia=", "heroku: 0"),
)


def cost_ns(call: Callable[[], object], calls: int, rounds: int) -> float:
    """Return the minimum CPU time of a call: noise only adds to it."""
    best = 1 << 62
    for _ in range(rounds):
        began = thread_time_ns()
        for _ in range(calls):
            call()
        best = min(best, thread_time_ns() - began)
    return best / calls


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the cost of redaction.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 3 if parser.parse_args().quick else 9
    redactor = Redactor()
    rows = []
    for name, text in TEXTS.items():
        calls = max(20_000 // len(text), 20)
        cheap = cost_ns(lambda text=text: suspicious_text(text), calls, rounds)  # type: ignore[misc]
        whole = cost_ns(lambda text=text: redactor.text(text), calls, rounds)  # type: ignore[misc]
        rows.append(
            [name, str(len(text)), f"{cheap / 1e3:.2f}", f"{whole / 1e3:.2f}", "yes" if suspicious_text(text) else "no"]
        )
    for name, path in PATHS.items():
        cheap = cost_ns(lambda path=path: suspicious(path), 1000, rounds)  # type: ignore[misc]
        whole = cost_ns(lambda path=path: redactor.url(path.decode()), 1000, rounds)  # type: ignore[misc]
        rows.append(
            [name, str(len(path)), f"{cheap / 1e3:.2f}", f"{whole / 1e3:.2f}", "yes" if suspicious(path) else "no"]
        )
    table("Redaction, by kind of text", ["text", "characters", "check, us", "redactor, us", "redactor runs"], rows)

    grown = []
    for piece in HOSTILE:
        short, long = (piece * (size // len(piece)) for size in (2**15, 2**16))
        redactor.text(short)
        times = [cost_ns(lambda text=text: redactor.text(text), 1, min(rounds, 5)) for text in (short, long)]  # type: ignore[misc]
        grown.append((times[1] / times[0], times[1] / 1e6, piece))
    grown.sort(reverse=True)
    slowest = sorted(grown, key=lambda one: -one[1])
    shown = [[repr(piece), f"{ms:.1f}", f"{ratio:.2f}"] for ratio, ms, piece in dict.fromkeys(grown[:8] + slowest[:12])]
    table(
        f"64 KiB of a hostile text, the slowest of {len(HOSTILE)}",
        ["piece", "redactor, ms", "of the time for 32 KiB"],
        shown,
    )
    print(f"largest ratio {grown[0][0]:.2f}, slowest {slowest[0][1]:.0f} ms")


if __name__ == "__main__":
    main()
