"""A request as a curl command for a POSIX shell."""

import re
import shlex
from typing import Any

from logship.forensics.reproduce.request import Reproduction

# curl would remove these segments of the path.
DOTS = re.compile(r"/\.{1,2}(?:/|$)")


def curl(request: Reproduction) -> str:
    """Return the command, one option a line. Each argument is quoted; none of them can be read as an option or a file."""
    how = "--head" if request.method == "HEAD" else f"--request {request.method}"
    parts = [f"curl {how} {shlex.quote(request.url)}"]
    if DOTS.search(request.url):
        parts.append("--path-as-is")
    # Without a value curl removes a header that it would send itself; with a semicolon it sends an empty one.
    parts += [f"--header {shlex.quote(f'{name}: {value}' if value.strip() else f'{name};')}" for name, value in request.headers]
    return " \\\n  ".join(parts)


def described(request: Reproduction) -> dict[str, Any]:
    """Return the request, its command and what is missing in it, as the JSON of `logship curl` and of the HTTP API."""
    headers = [{"name": name, "value": value} for name, value in request.headers]
    return {
        "method": request.method, "url": request.url, "headers": headers, "curl": curl(request),
        "not_recorded": list(request.not_recorded),
    }  # fmt: skip
