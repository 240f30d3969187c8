"""The rules of Prometheus: promtool plays cases in which each alert fires and is silent, and each has its runbook."""

import re
import shutil
import subprocess
from typing import Any

import pytest

from tests import needs
from tests.compose.stack import ROOT, yaml

PROMTOOL = shutil.which("promtool")
needed = needs.program("prometheus", PROMTOOL, "promtool is not on PATH")
RULES = ROOT / "compose/prometheus/rules"
CASES = ROOT / "tests/compose/alerts.yaml"
RUNBOOKS = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8")
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load((RULES / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
SECTIONS = {
    part.partition("\n")[0]: part.partition("\n")[2] for part in re.split(r"^## ", RUNBOOKS, flags=re.MULTILINE)[1:]
}


def promtool(*words: str) -> str:
    assert PROMTOOL
    checked = subprocess.run([PROMTOOL, *words], capture_output=True, text=True, timeout=100)
    said = checked.stdout + checked.stderr
    assert checked.returncode == 0, said
    return said


@needed
def test_the_rules_are_valid() -> None:
    said = promtool("check", "rules", *map(str, sorted(RULES.glob("*.yaml"))))
    assert f"SUCCESS: {len(ALERTS)} rules found" in said


@needed
def test_the_alerts_fire_and_are_silent_as_the_cases_say() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(CASES))


@needed
def test_a_case_that_expects_another_result_fails(tmp_path: Any) -> None:
    text = CASES.read_text(encoding="utf-8").replace("../../compose", str(ROOT / "compose"))
    assert text.count("Worker w0 of shop restarts") == 1
    wrong = tmp_path / "alerts.yaml"
    wrong.write_text(text.replace("Worker w0 of shop restarts", "Worker w1 of shop restarts"), encoding="utf-8")
    with pytest.raises(AssertionError, match="LogshipWorkerRestartLoop"):
        promtool("test", "rules", str(wrong))


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent(name: str) -> None:
    checks = [
        check
        for case in yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]
        for check in case["alert_rule_test"]
        if check["alertname"] == name
    ]
    assert {bool(check["exp_alerts"]) for check in checks} == {True, False}


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_says_how_bad_it_is_and_has_a_runbook(name: str) -> None:
    labels, notes = ALERTS[name]["labels"], ALERTS[name]["annotations"]
    assert labels["severity"] in {"critical", "warning"}
    assert notes["summary"].endswith(".")
    subject = 'label "worker"' if "$labels.worker" not in notes["description"] else "$labels.worker"
    assert subject in notes["description"] or "$labels.instance" in notes["description"]
    assert notes["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
    body = SECTIONS[name]
    assert re.search(r"^    logship [a-z]", body, re.MULTILINE), "the command to run first"
    assert len(re.split(r"^    logship .*$", body, maxsplit=1, flags=re.MULTILINE)[1].split()) > 10, "what to do"


def test_each_runbook_has_its_alert() -> None:
    assert list(SECTIONS) == list(ALERTS)
