"""Check the wording of docs and of user-facing text in code. `make check` runs `python tests/prose.py`.

It reads Markdown (without code), string literals and comments of Python, comments of configuration files, and the scripts of
the page. Each rule has a pattern, a better wording, and a sample that `tests/test_prose.py` checks. Vale cannot be used:
its packages on PyPI and npm download the program from another host when they are installed.

Exempt one line with a comment `prose: ok` and the reason, or a file in EXEMPT."""

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
EXEMPTION: Final = "prose: ok"
# Texts that are data: lists of words and names, in which any word may occur. Tests name things freely.
EXEMPT: Final = ("tests/", "logship/event/secrets/", "logship/page/static/vendor/", "LICENSE", "docs/images/")


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern`: what to avoid (case-insensitive); `instead`: what to write; `sample`: a text that the rule rejects."""

    pattern: str
    instead: str
    sample: str


RULES: Final = (
    Rule(
        r"(?<!there )\b(?:is|are) no (?!longer\b|more\b|less\b|other\b|such\b|later\b|events?\b|need\b)\w+",
        "is not a ...",
        "'10' is no span",
    ),
    Rule(r"(?<!there )\b(?:is|are) (?-i:none)\b", "there is no ..., or the value is missing", "and '100ms' is none"),
    Rule(r"\bwho(?:m?ever|soever)\b", "anyone who ..., or the role", "whoever reaches the port"),
    Rule(r"\bwhom\b", "the source, the client", "when whom it asks cannot be reached"),
    Rule(r"\bin words\b", "Details", "it says in words what happened"),
    Rule(r"\bgo(?:es)? away\b", "is deleted, is disconnected", "the process goes away"),
    Rule(r"\b(?:is|are) told\b", "is notified, reads, receives", "what the reader is told"),
    Rule(r"\bhalf, 95 and 99\b|\b9[59] of 100\b", "p50, p95 and p99", "half, 95 and 99 of 100 were quicker"),
    Rule(r"\bsmall letters\b", "lowercase", "in small letters"),
    Rule(r"\b(?:a|the|its|one) (?:life|lives)\b|\blives of (?:a|the|its)\b", "run", "the life of a worker"),
    Rule(r"\bthat is all\b", "end of results", "That is all."),
    Rule(r"\b(?:heirs?|successors?)\b", "replacement", "its successor began"),
    Rule(r"\bcut off\b", "interrupted, truncated", "requests that were cut off"),
    Rule(r"\bheld up\b", "blocked, delayed", "its event loop was held up"),
    Rule(r"\b(?:says|said) goodbye\b|\bgoodbyes?\b", "reports its end, shuts down in order", "the worker says goodbye"),
    Rule(r"\bin all:|\bbusy in all\b", "in total", "how long each was busy in all"),
    Rule(r"\bmap of heat\b", "heat map", "as a map of heat"),
    Rule(r"\b(?:an|some)body else's\b", "another product's, another process's", "somebody else's template"),
    Rule(r"\bhonestly\b", "(omit it)", "Limits, honestly"),
    Rule(r"\bdoing it twice\b", "idempotent", "Doing it twice is doing it once."),
    Rule(r"\b(?:of|as) which there is\b", "(write two sentences)", "JSON of which there is one form"),
    Rule(r"\bmakes? no sense\b", "is invalid", "the question makes no sense"),
    Rule(r"\bby hand\b(?=.*\bcurl\b)", "with curl", "Again, by hand: curl"),
    Rule(r"\bfor ever\b", "forever, without limit", "kept for ever"),
    Rule(r"\bnumbered against\b", "emitted vs.", "Numbered against stored"),
    Rule(r"\blives\b", "runs, is in", "the file lives in the state directory"),
    Rule(r"\basks\b", "queries, requests, requires", "the agent asks for a key"),
    Rule(r"\bof (?:its|their|our) own\b", "(its) separate ..., another ...", "in a process of its own"),
    Rule(r"\btold\b", "reported, passed, set", "what was told of a worker"),
    Rule(r"\b(?:some|any)body\b", "anyone, another process", "somebody is listening"),
    Rule(r"\bthe question(?:s)?\b", "the query", "the question makes sense"),
    Rule(r"\bask(?:s|ed)? (?:it|the (?:store|source|server|collector)|elasticsearch)\b", "query", "ask the store"),
    Rule(r"\banswer(?:s|ed|ing)? nobody\b", "off", "answering nobody"),
    Rule(r"\b(?:goes|went) on\b|\b(?:going|go) on (?!to\b)|\bgo on$", "continue, last, still run", "if the growth goes on"),
    Rule(r"\b(?:left|stays?|leaves? (?:it|them)) as (?:it|they) (?:is|are)\b", "is not changed", "it is left as it is"),
    Rule(r"\bwhat answers at\b", "the server at", "what answers at URL is not Kibana"),
    Rule(r"\bdo it again\b", "retry", "Do it again later"),
    Rule(r"\bnever before\b", "not in the baseline", "27 times, never before"),
    Rule(r"\bvouch(?:es)?\b", "is for, signs", "the file vouches for https://"),
    Rule(r"\b(?:do|does) not tell(?! \w+ from\b| them apart\b)\b", "does not report", "0 where the system does not tell"),
    Rule(r"\bfell silent\b", "is silent", "no worker fell silent"),
)


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text with its place. `line` is that of its first line."""

    file: str
    line: int
    text: str


def texts(file: str) -> Iterator[Text]:
    """Yield the checked texts of one file, by the kind of the file."""
    content = (ROOT / file).read_text(encoding="utf-8")
    if file.endswith(".md"):
        yield Text(file, 1, markdown(content))
    elif file.endswith(".py"):
        yield from python(file, content)
    elif file.endswith(".js"):
        yield from javascript(file, content)
    else:
        yield Text(file, 1, "\n".join(line.partition("#")[2] for line in content.split("\n")))


def markdown(content: str) -> str:
    """Return the prose of a page: code, generated tables and addresses are blank, lines stay where they are."""
    for pattern in (r"^```.*?^```$", r"^(?: {4}|\t).*$", r"`[^`\n]*`", r"\]\([^)]*\)"):
        content = re.sub(pattern, blank, content, flags=re.DOTALL | re.MULTILINE if "```" in pattern else re.MULTILINE)
    return content


def blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def python(file: str, content: str) -> Iterator[Text]:
    """Yield the string literals and comments of a module."""
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield Text(file, node.lineno, re.sub(r"`[^`\n]*`", blank, node.value))
    for token in tokenize.generate_tokens(io.StringIO(content).readline):
        if token.type == tokenize.COMMENT:
            yield Text(file, token.start[0], re.sub(r"`[^`\n]*`", blank, token.string))


def javascript(file: str, content: str) -> Iterator[Text]:
    """Yield the string literals and comments of a script. A template literal is one text with its expressions."""
    literal = r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`"""
    for match in re.finditer(literal, content, re.DOTALL):
        yield Text(file, 1 + content.count("\n", 0, match.start()), re.sub(r"\$\{[^{}]*\}", blank, match[0]))


def problems(text: Text, lines: list[str]) -> Iterator[str]:
    """Yield one message per match of a rule. `lines`: of the file, for exemptions."""
    for rule in RULES:
        for match in re.finditer(rule.pattern, text.text, re.IGNORECASE):
            number = text.line + text.text.count("\n", 0, match.start())
            if EXEMPTION not in lines[min(number, len(lines)) - 1]:
                yield f"{text.file}:{number}: '{' '.join(match[0].split())}': write {rule.instead}"


def checked() -> list[str]:
    """Return the tracked files that are checked."""
    kinds = ("*.md", "*.py", "*.js", "*.yml", "*.yaml", "*.conf", "*.env", "Makefile", "compose/Dockerfile")
    run = subprocess.run(["git", "ls-files", *kinds], cwd=ROOT, capture_output=True, text=True, check=True)
    return [file for file in run.stdout.splitlines() if not file.startswith(EXEMPT)]


def main() -> int:
    """Print every problem; the status is 1 if there is one."""
    parser = argparse.ArgumentParser(description="Check the wording of docs and user-facing text.")
    parser.add_argument("files", nargs="*", help="Default: all tracked files")
    messages = []
    for file in parser.parse_args().files or checked():
        lines = (ROOT / file).read_text(encoding="utf-8").split("\n")
        messages += [message for text in texts(file) for message in problems(text, lines)]
    print("\n".join(sorted(set(messages))), file=sys.stderr, end="\n" if messages else "")
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
