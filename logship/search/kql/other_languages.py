"""Operators of SQL, Lucene and programming languages where KQL expects its own, and what to write instead."""

import re

_COMPARED_BEFORE = re.compile(r"([\w@.-]+)\s*(!=|==|=~|=)\s*$")
_LESS_BEFORE = re.compile(r"([\w@.-]+)\s*<\s*$")
_COLON_BEFORE = re.compile(r"([\w@.-]+)\s*:\s*$")
_VALUE_BEHIND = re.compile(r'\([^()]*\)|"[^"]*"|[^\s()]+')
_IN_BEFORE = re.compile(r"([\w@.-]+)\s+(in|IN)\s*$")
_AND_OR = re.compile(r"&&|\|\|")


def correction(text: str, at: int) -> str:
    """Return what to write instead of the foreign operator at index `at` of a query; "" if there is none."""
    before, rest = text[:at], text[at:]
    value = (_VALUE_BEHIND.match(rest) or [""])[0] or "value"
    if compared := _COMPARED_BEFORE.search(before):
        name, operator = compared[1], compared[2]
        return f'KQL compares with ":", not "{operator}": write {"not " * ("!" in operator)}{name}: {value}'
    if (less := _LESS_BEFORE.search(before)) and rest.startswith(">"):
        value = (_VALUE_BEHIND.search(rest[1:]) or ["value"])[0]
        return f'KQL compares with ":", not "<>": write not {less[1]}: {value}'
    if (colon := _COLON_BEFORE.search(before)) and rest[:1] in ("<", ">"):
        return f'expected a value after ":"; write a range as {colon[1]} {rest.split(")")[0].strip()}'
    if listed := _IN_BEFORE.search(before):
        return f"KQL has no operator {listed[2]!r}: write {listed[1]}: (a or b)"
    if joined := _AND_OR.search(text):
        return f'write "{"and" if joined[0] == "&&" else "or"}" instead of "{joined[0]}"'
    return ""
