"""Values in forms, in XML and in errors of pydantic as text, where markup or a line stands between a name and its value."""

import re
from collections.abc import Callable
from typing import Final

from logship.event.names import Names
from logship.event.secrets.extent import LINE_END, value_after
from logship.event.secrets.marks import mark
from logship.event.secrets.values import tells_nothing

_FORM: Final = re.compile(
    rf"(?ai:form-data;[^\r\n\\]{{0,100}}?(?<![A-Za-z])name=)(?:\\{{0,8}}[\"'])?(?P<name>[^\"'\\\r\n;]{{1,100}})(?:\\{{0,8}}[\"'])?[^\r\n\\]{{0,120}}+"
    rf"(?:{LINE_END}[^\r\n\\]{{1,160}}+){{0,4}}{LINE_END}{LINE_END}(?P<value>[\s\S]*?)(?={LINE_END}--|\Z)"
)
_ELEMENT: Final = re.compile(
    r"<(?P<name>[\w:.\-]{1,80})(?:[ \t\r\n][^<>]{0,200})?>(?P<value>(?:[ \t\r\n]{0,40}<!\[CDATA\[)?[^<]{1,8192})(?=<|\Z)"
)
_MODEL_ERROR: Final = re.compile(
    r"(?:(?m:^)|\\n)(?P<name>[\w.]{1,120})(?:\n|\\n)[ ]{2}[^\n\[]{0,300}\[type=[^\n\]]{0,160}?input_value="
)


def hide_form_values(text: str, names: Names) -> str:
    """Return `text` with a mark in place of the values of secret names in multipart forms, XML and errors of pydantic."""
    if "form-data" in text:
        text = _FORM.sub(_judged(names), text)
    if may_hold_element(text):
        text = _ELEMENT.sub(_judged(names), text)
    return _in_model_errors(text, names) if "input_value=" in text else text


def may_hold_element(text: str) -> bool:
    """Return whether `text` may hold an element of XML or HTML with a value."""
    return "</" in text or "<![CDATA[" in text


def _judged(names: Names) -> Callable[[re.Match[str]], str]:
    def judged(found: re.Match[str]) -> str:
        value = found["value"]
        promise = names[found["name"]]
        if not promise.kind or tells_nothing(promise, found["name"], value):
            return found[0]
        return found[0][: found.start("value") - found.start()] + mark(promise.kind)

    return judged


def _in_model_errors(text: str, names: Names) -> str:
    pieces: list[str] = []
    done = at = 0
    while found := _MODEL_ERROR.search(text, at):
        name = found["name"]
        promise = names[name]
        if not promise.kind:
            at = found.end("name")
            continue
        start, at = value_after(text, found.end())
        at = max(at, found.end())
        if start < at and not tells_nothing(promise, name, text[start:at]):
            pieces += (text[done:start], mark(promise.kind))
            done = at
    return text if not pieces else "".join((*pieces, text[done:]))
