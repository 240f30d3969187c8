"""README and docs/ agree with the code: tables, commands, paths, links, YAML and Python. WRITE_DOCS=1 regenerates the tables."""

import contextlib
import importlib
import io
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import loguru
import pytest

from logship.cli.main import status_of
from logship.event.fields import FIELDS
from logship.search.kql import parse
from logship.search.meaning import meaning
from logship.settings import BY_NAME, INTERNAL, MIB, OPTIONS, PREFIX, SERVICE_LINK, as_text, environment_name, load
from tests import needs
from tests.test_floors import FLOORS

# Comes with the frameworks that the tests serve; it has no types of its own.
yaml: Any = importlib.import_module("yaml")

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
# A module that holds a file format opens with its layout; docs/journal.md shows it as it is.
# docs/kql.md shows its error message.
WRONG = "http.response.status_code >= (500"
FORMATS = ["state.home", "state.journal", "state.segment", "state.identity", "state.inflight", "state.slots"]


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, text) of every fenced block in `language`."""
    return [
        (page, found)
        for page, text in TEXTS.items()
        for found in re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


def settings_table() -> str:
    rows = ["| environment | default | meaning |", "| --- | --- | --- |"]
    for one in OPTIONS:
        shown = f"`{short(one.default)}`" if as_text(one.default) else ""
        rows.append(f"| `{environment_name(one.name)}` | {shown} | {one.metadata['sentence'].replace('|', '/')} |")
    return "\n".join(rows)


def short(default: object) -> str:
    """A default as a person would write it."""
    if isinstance(default, float):
        return f"{default:g}"
    if type(default) is int and default and default % MIB == 0:
        return f"{default // MIB}MiB"
    return as_text(default)


def events_table() -> str:
    rows = ["| field | type | from | meaning |", "| --- | --- | --- | --- |"]
    for field in FIELDS:
        stored = f", stored as {field.stored_type}" if field.stored_type != field.type else ""
        many = ", a list" if field.many else ""
        rows.append(
            f"| `{field.name}` | {field.type}{many}{stored} | {'ECS' if field.ecs else ''} | {field.sentence} |"
        )
    return "\n".join(rows)


def formats() -> str:
    parts = []
    for name in FORMATS:
        said = importlib.import_module(f"logship.{name}").__doc__ or ""
        parts.append(f"`logship/{name.replace('.', '/')}.py`\n\n```text\n{said.strip()}\n```")
    return "\n\n".join(parts)


@pytest.mark.parametrize(
    ("page", "mark", "made"),
    [
        ("docs/settings.md", "settings", settings_table()),
        ("docs/events.md", "fields", events_table()),
        ("docs/journal.md", "formats", formats()),
    ],
    ids=["settings", "events", "formats"],
)
def test_what_the_code_knows_is_shown_as_it_is(page: str, mark: str, made: str) -> None:
    before, begin, rest = TEXTS[page].partition(f"<!-- {mark} -->\n")
    written, end, after = rest.partition(f"<!-- /{mark} -->")
    assert begin
    assert end
    if os.environ.get("WRITE_DOCS"):
        (ROOT / page).write_text(f"{before}{begin}{made}\n{end}{after}", encoding="utf-8")
    else:
        assert written.strip() == made, "run this test with WRITE_DOCS=1"


# Commands.


def spoken() -> list[tuple[str, str]]:
    """(page, command line) of every `logship ...` that a page shows, in a block or in the middle of a sentence."""
    found = []
    for page, text in TEXTS.items():
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
        lines = [line.strip().removeprefix("$ ") for line in text.splitlines() if line.startswith("    ")]
        found += [(page, line) for line in lines if line.startswith("logship ")]
        found += [(page, line) for line in re.findall(r"`(logship [^`]*)`", prose.replace("\n", " "))]
    return found


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """What `--help` of each command says; under "" what that of all of them says."""
    whole = said()
    names = re.findall(r"^  ([a-z-]+)  ", whole.partition("-h, --help")[2], re.MULTILINE)
    return {"": whole} | {name: said(name) for name in names}


def said(*words: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as told:
        assert status_of([*words, "--help"]) == 0
    return told.getvalue()


@pytest.mark.parametrize(("page", "line"), spoken())
def test_every_command_that_is_shown_exists_with_its_options(page: str, line: str, helps: dict[str, str]) -> None:
    name, *words = shlex.split(line, comments=True)[1:]
    given = {word.partition("=")[0] for word in words if word.startswith("--")} if name != "run" else set()
    assert given <= set(re.findall(r"--[a-z-]+", helps[name]))


def questions() -> list[tuple[str, str]]:
    """(page, KQL) of every question that a page shows."""
    lines = [(page, shlex.split(line, comments=True)[1:]) for page, line in spoken()]
    asked = [(page, words[1]) for page, words in lines if len(words) > 1 and words[0] in {"search", "tail", "verify"}]
    return [(page, text) for page, text in asked if not text.startswith("-") and text != WRONG]


@pytest.mark.parametrize(("page", "text"), questions())
def test_every_question_that_is_shown_can_be_read(page: str, text: str) -> None:
    meaning(parse(text), 0)


def test_every_command_is_shown_somewhere(helps: dict[str, str]) -> None:
    shown = {shlex.split(line, comments=True)[1] for _, line in spoken()}
    assert len(helps) > 5
    assert set(helps) - {""} - shown == set()


def test_every_make_target_that_is_shown_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {name for text in TEXTS.values() for name in re.findall(r"(?:`|^    )make ([a-z]+)", text, re.MULTILINE)}
    assert {"demo", "test"} <= shown <= targets


# Settings.

OF_THE_TESTS = ("LOGSHIP_BUNDLE", "LOGSHIP_PROVE", "LOGSHIP_REQUIRE", "LOGSHIP_SOAK_SECONDS")


@pytest.mark.parametrize("page", list(TEXTS))
def test_every_setting_that_is_named_exists(page: str) -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z][A-Z_]*[A-Z](?:_\d+_[A-Z]+)?", TEXTS[page]))
    unknown = named - {environment_name(name) for name in BY_NAME} - INTERNAL - {"LOGSHIP_KEY", *OF_THE_TESTS}
    assert {name for name in unknown if not SERVICE_LINK.fullmatch(name)} == set()


@pytest.mark.parametrize(("page", "name", "value"), sorted(
    {(page, *pair) for page, text in TEXTS.items() for pair in re.findall(rf"\b{PREFIX}([A-Z_]+)=([^\s`,]+)", text)}
))  # fmt: skip
def test_every_value_that_is_shown_is_taken(page: str, name: str, value: str) -> None:
    load({}, {"HOME": "/home/ada", f"{PREFIX}{name}": value})


def test_the_environment_of_each_container_is_taken() -> None:
    told = [
        pair for _, text in blocks("yaml") for document in yaml.safe_load_all(text) for pair in environment(document)
    ]
    assert len(told) > 10
    for name, value in told:
        if name.startswith(PREFIX):
            load({}, {"HOME": "/home/ada", name: re.sub(r"\$[({][^)}]*[)}]", "here", value)})


def environment(document: Any) -> list[tuple[str, str]]:
    """(name, value) of every environment in a compose file or a manifest."""
    if isinstance(document, list):
        return [pair for one in document for pair in environment(one)]
    if not isinstance(document, dict):
        return []
    if "name" in document and "value" in document:
        return [(document["name"], document["value"])]
    told = document.get("environment", {})
    return [*told.items(), *(pair for one in document.values() for pair in environment(one))]


# Blocks and links.


@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_python_that_is_shown_compiles(page: str, text: str) -> None:
    compile(text, page, "exec")


def test_loguru_is_handed_on_with_its_fields_and_without_local_variables(caplog: pytest.LogCaptureFixture) -> None:
    (shown,) = [text for page, text in blocks("python") if page == "docs/logging.md" and "loguru" in text]
    loguru.logger.remove()
    exec(compile(shown, "docs/logging.md", "exec"), {"__name__": "shown"})
    hidden = "correct-horse"
    try:
        with caplog.at_level("INFO"):
            try:
                hidden.index("battery")
            except ValueError:
                loguru.logger.bind(order_id=7).exception("not placed")
    finally:
        loguru.logger.remove()
    (record,) = caplog.records
    assert vars(record)["order_id"] == 7
    assert record.getMessage() == "not placed"
    assert record.exc_info
    assert hidden not in str(vars(record))


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_yaml_that_is_shown_can_be_read(page: str, text: str) -> None:
    assert list(yaml.safe_load_all(text))


def test_fluent_bit_takes_the_configuration_that_is_shown(tmp_path: Path) -> None:
    fluent_bit = shutil.which("fluent-bit")
    if fluent_bit is None:
        needs.lacks("fluent-bit", "fluent-bit is not installed")
    shown = [text for page, text in blocks("yaml") if page == "docs/fluent-bit.md"]
    for number, text in enumerate(shown):
        config = tmp_path / f"{number}.yaml"
        config.write_text(text, encoding="utf-8")
        run = subprocess.run(
            [fluent_bit, "--dry-run", "-c", str(config)],
            env={**os.environ, "FLUENT_BIT_STORE": str(tmp_path / "store")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr


def test_pods_keep_their_journal_in_a_volume_and_their_root_read_only() -> None:
    pods = [
        document["spec"]["template"]["spec"]
        for page, text in blocks("yaml")
        for document in yaml.safe_load_all(text)
        if page == "docs/containers.md" and isinstance(document, dict) and "kind" in document
    ]
    assert len(pods) == 2
    for pod in pods:
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            for told in container.get("env", []):
                if told["name"] == "LOGSHIP_STATE_DIR":
                    # Inside the volume: its root can be written by everybody, and such a state directory is refused.
                    inside = str(Path(told["value"]).parent)
                    assert inside in {mount["mountPath"] for mount in container["volumeMounts"]}


def shown_paths() -> list[tuple[str, str]]:
    """(page, path) of every file or directory of the project that a page names; a test may follow `::`."""
    places = r"(?:logship|tests|benchmarks|compose|kibana|pipelines|\.ci|docs)"
    return sorted({
        (page, path)
        for page, text in TEXTS.items()
        for path in re.findall(rf"`({places}/[\w@./-]+)(?:::\w+)?`", text)
    })  # fmt: skip


@pytest.mark.parametrize(("page", "path"), shown_paths())
def test_every_path_that_is_shown_exists(page: str, path: str) -> None:
    assert (ROOT / path).exists()


def links() -> list[tuple[str, str]]:
    return [(page, link) for page, text in TEXTS.items() for link in re.findall(r"\]\(([^)]+)\)", text)]


@pytest.mark.parametrize(("page", "link"), [one for one in links() if "://" not in one[1]])
def test_links_lead_somewhere(page: str, link: str) -> None:
    path, _, section = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    assert target.exists()
    if section:
        heads = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        assert section in {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_floors_in_the_architecture_are_those_of_the_imports() -> None:
    rows = re.findall(r"^\| (\d) \| ([^|]+) \|", TEXTS["docs/architecture.md"], re.MULTILINE)
    shown = {int(floor): set(re.findall(r"`(\w+)`", packages)) for floor, packages in rows}
    assert shown == dict(enumerate(FLOORS))


def test_every_page_can_be_found_from_the_readme() -> None:
    linked = {link for page, link in links() if page == "README.md"}
    assert {page for page in TEXTS if page != "README.md"} <= linked
