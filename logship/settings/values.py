"""Values of settings: how text is read, and which values a setting accepts."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import Field
from typing import Any, Final

from logship.errors import SettingsError
from logship.settings.declaration import BY_NAME, environment_name, shown

WORDS: Final = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
KINDS: Final = {bool: "on or off", int: "a whole number", float: "a number", str: "text", tuple: "a list of texts"}
SIZE: Final = "a whole number of bytes, or a size such as 64MiB"
# 64MiB, 64Mi (as in Kubernetes) and 64M are equal; 64MB is 64 million bytes.
UNITS: Final[dict[str, int]] = {"": 1, "b": 1} | {
    prefix + ending: int((10**3 if ending == "b" else 2**10) ** power)
    for power, prefix in enumerate("kmgt", 1)
    for ending in ("", "i", "b", "ib")
}
# 30 years; a larger number of seconds does not fit the nanoseconds of a clock.
MOST_SECONDS: Final = 10**9
# Names of files may have any bytes.
PATHS: Final = ("agent", "unix")
_QUANTITY: Final = re.compile(r"([+-]?\d+(?:_\d+)*)(\.\d+)?\s*([A-Za-z]*)")

# RFC 9110, section 5.6.2. The limit of the length is ours: the name is written into every response.
TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
# A request id in one of these headers would break the response or its interpretation.
TAKEN_HEADERS: Final = frozenset(
    "connection content-encoding content-length content-type cookie date expect host keep-alive location "
    "proxy-authenticate proxy-authorization server set-cookie te traceparent tracestate trailer transfer-encoding "
    "upgrade user-agent vary www-authenticate authorization accept-encoding cache-control etag".split()
)


def checked(setting: Field[Any], value: object, name: str) -> object:
    """Return `value` as the type of the setting. SettingsError, which begins with `name`, if the setting cannot have it.

    The message does not contain the value of a secret."""
    default: object = setting.default
    try:
        taken = _read(default, value.strip()) if isinstance(value, str) else _fitting(default, value)
    except (ValueError, TypeError, KeyError):
        kind = SIZE if setting.name.endswith("_bytes") else KINDS[type(default)]
        raise SettingsError(f"{name}: invalid value {shown(setting, value)!r}: use {kind}") from None
    choices: tuple[str, ...] = setting.metadata["choices"]
    if choices and (taken := str(taken).lower()) not in choices:
        known = ", ".join(choices)
        raise SettingsError(f"{name}: invalid value {value!r}: use one of {known}{did_you_mean(str(taken), choices)}")
    if setting.metadata["tokens"]:
        _check_tokens(setting, (taken,) if isinstance(taken, str) else taken, name)
    _check_encodable(setting, taken, name)
    if isinstance(taken, int | float):
        most = setting.metadata["most"]
        if most is None and setting.name.endswith("_seconds"):
            most = MOST_SECONDS
        if not 0 <= taken < float("inf") or (most is not None and taken > most):
            limits = "of at least 0" if most is None else f"from 0 to {most}"
            raise SettingsError(f"{name}: invalid value {value!r}: use a number {limits}")
    return taken


def host_and_port(text: str, name: str) -> tuple[str, int]:
    """Return the host and the port of HOST:PORT, without the brackets of an IPv6 address; no host means 127.0.0.1.

    SettingsError names the setting `name`."""
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or ("/" in host):
        usual = str(BY_NAME[name].default).rpartition(":")[2].replace("off", "9464")
        raise SettingsError(
            f"--{name} ({environment_name(name)}): invalid address {text!r}: "
            f"use HOST:PORT, e.g. 127.0.0.1:{usual} or [::1]:{usual}"
        )
    return host or "127.0.0.1", int(port)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`."""
    return host in ("localhost", "::1") or (host.startswith("127.") and host.replace(".", "").isdigit())


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean X?)" with the closest known name, "" if none is close."""
    import difflib  # only for errors: at the top it would slow down the start of every worker

    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _check_encodable(setting: Field[Any], value: object, name: str) -> None:
    """Raise SettingsError for a text with bytes that are not UTF-8: no event could carry it."""
    if setting.name in PATHS or setting.name.endswith(("_dir", "_file")):
        return
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                raise SettingsError(f"{name}: invalid value {shown(setting, text)!r}: use UTF-8 text") from None


def _check_tokens(setting: Field[Any], names: Any, setting_name: str) -> None:
    """Raise SettingsError for what is not a name of a header or cookie, and for a request id header with another meaning."""
    for name in names:
        if TOKEN.fullmatch(name) is None:
            raise SettingsError(
                f"{setting_name}: invalid name {name!r}: use letters, digits and -, at most 64 characters"
            )
        if setting.name == "request_id_header" and name.lower() in TAKEN_HEADERS:
            raise SettingsError(
                f"{setting_name}: the header {name!r} has a meaning in HTTP: use another one, e.g. x-request-id"
            )


def _read(default: object, text: str) -> object:
    if isinstance(default, bool):
        return WORDS[text.lower()]
    if isinstance(default, int):
        return _quantity(text)
    if isinstance(default, float):
        return float(text)
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _quantity(text: str) -> int:
    """Return a whole number, or a number with a unit that makes a whole number: 1.5Gi. Else ValueError or KeyError."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    whole, fraction, unit = match[1], match[2] or ".", match[3].lower()
    parts: int = 10 ** len(fraction[1:])
    size, rest = divmod(int(whole + fraction[1:]) * UNITS[unit], parts)
    if rest or (match[2] and not unit):
        raise ValueError(text)
    return size


def _fitting(default: object, value: object) -> object:
    if isinstance(default, bool) or isinstance(value, bool):
        if isinstance(default, bool) and isinstance(value, bool):
            return value
    elif isinstance(default, int):
        if isinstance(value, int):
            return value
    elif isinstance(default, float):
        if isinstance(value, int | float):
            return float(value)
    elif isinstance(default, tuple):
        if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | Mapping):
            parts = tuple(value)
            if all(isinstance(part, str) for part in parts):
                return parts
    elif isinstance(value, os.PathLike):
        return os.fsdecode(value)
    raise TypeError
