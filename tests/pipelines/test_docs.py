"""What the pages on ELK say is what the files say."""

import re
from pathlib import Path

import pytest

from logship.elastic import access, mapping
from logship.settings import BY_NAME, environment_name
from tests.pipelines.agent import CONFIG, defaults

ROOT = Path(__file__).parents[2]
ELK = (ROOT / "docs/elk.md").read_text(encoding="utf-8")
LOSSES = (ROOT / "docs/not-losing-logs.md").read_text(encoding="utf-8")
YAML = CONFIG.read_text(encoding="utf-8")


def test_every_line_of_the_configuration_that_the_page_names_is_in_it() -> None:
    named = re.findall(r"(?m)^\| `([\w.]+: [\w./@]+)`", LOSSES)
    assert len(named) >= 14
    assert [line for line in named if not re.search(rf"(?m)^\s+(- )?{re.escape(line)}\b", YAML)] == []


def test_every_setting_against_loss_has_its_row() -> None:
    against_loss = re.findall(
        r"(?m)^\s+(storage\.(?:type|checksum|sync|total_limit_size|keep\.rejected)|retry_limit|buffer_size|net\.io_timeout"
        r"|id_key|write_operation|json\.convert_nan_to_null|buffer_max_size):",
        YAML,
    )
    assert [name for name in set(against_loss) if f"| `{name}: " not in LOSSES] == []


@pytest.mark.parametrize(
    "name", [mapping.SETTINGS, mapping.MAPPINGS, mapping.CUSTOM, mapping.TEMPLATE, mapping.PATTERN, *access.ROLES]
)
def test_every_name_is_said(name: str) -> None:
    assert f"`{name}`" in ELK


def test_numbers_are_those_of_the_templates() -> None:
    assert f"priority {mapping.PRIORITY}" in ELK
    assert f"retention {mapping.RETENTION_DAYS} days" in ELK
    own = sum(len(group.get("properties", {"": 0})) for group in mapping.mappings()["properties"].values())
    assert 850 < mapping.FIELD_LIMIT - own < 950  # "nearly 900 different names"


def test_settings_and_variables_exist() -> None:
    known = {environment_name(name) for name in BY_NAME}
    assert set(re.findall(r"\bLOGSHIP_\w+", ELK + LOSSES)) <= known
    assert set(re.findall(r"\b(?:FLB|ES|SPLUNK|HTTP)_\w+", ELK + LOSSES)) <= defaults().keys()


@pytest.mark.parametrize("page", [ELK, LOSSES])
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", page):
        assert (ROOT / "docs" / link).exists(), link
