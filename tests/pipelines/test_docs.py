"""What the pages on ELK say is what the files say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from logship.elastic import access, hours, mapping
from logship.settings import BY_NAME, environment_name
from tests.elastic.node import Server
from tests.pipelines import agent
from tests.pipelines.agent import CONFIG, Agent, defaults, to_elastic
from tests.proofs.scene import Process, environment, free_port, listens, until

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
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
    "name",
    [
        mapping.SETTINGS, mapping.MAPPINGS, mapping.CUSTOM, mapping.TEMPLATE, mapping.PATTERN, hours.TEMPLATE, hours.PATTERN,
        *access.ROLES,
    ],
)  # fmt: skip
def test_every_name_is_said(name: str) -> None:
    assert f"`{name}`" in ELK


def test_numbers_are_those_of_the_templates() -> None:
    assert f"priority {mapping.PRIORITY}" in ELK
    assert f"retention {mapping.RETENTION_DAYS} days" in ELK
    assert f"retention {hours.RETENTION_DAYS} days" in ELK
    own = sum(len(group.get("properties", {"": 0})) for group in mapping.mappings()["properties"].values())
    assert 850 < mapping.FIELD_LIMIT - own < 950  # "nearly 900 different names"


def test_settings_and_variables_exist() -> None:
    known = {environment_name(name) for name in BY_NAME}
    assert set(re.findall(r"\bLOGSHIP_\w+", ELK + LOSSES)) <= known
    assert set(re.findall(r"\b(?:FLB|ES|SPLUNK|HTTP)_\w+", ELK + LOSSES)) <= defaults().keys()


FENCE = re.compile(r"(?ms)^```console\n(.*?)^```$")
# Values that the page leaves to its reader, and what they are here. The test build of Elasticsearch has security off.
FILLED = {
    "pip install": "true",
    "LOGSHIP_ELASTIC_CA_FILE=ca.pem": "",
    "export LOGSHIP_ELASTIC_USER=elastic LOGSHIP_ELASTIC_PASSWORD=... LOGSHIP_ELASTIC_SHIPPER_PASSWORD=...": "true",
    "export LOGSHIP_KIBANA_URL=https://kibana.example:5601": "true",
    "logship setup elastic": "logship setup elastic --yes",
}


@agent.needed
@pytest.mark.timeout(300)
def test_the_commands_of_the_page_bring_an_event_into_elasticsearch(
    elastic: Server, namespace: str, tmp_path: Path
) -> None:
    """As a reader types them, on a machine that has no directory of ours yet."""
    first, second, *_ = (re.sub(r"(?m)^\$ ", "", block) for block in FENCE.findall(ELK))
    where = to_elastic(elastic, namespace)
    named = re.search(r"fill in ((?:ES_\w+(?:, | and )?)+)", ELK)
    assert named is not None
    to_fill = set(re.findall(r"ES_\w+", named[1]))
    assert to_fill == {"ES_HOST", "ES_PORT", "ES_TLS", "ES_CA_FILE", "ES_PASSWORD"}
    fluent_bit = Agent(tmp_path, {})  # for free ports; it is not started
    changes = {name: where[name] for name in (*to_fill, "ES_USER")} | {
        "ES_STREAM": where["ES_STREAM"],
        "FLB_PORT": str(fluent_bit.port),
        "FLB_HTTP_PORT": str(fluent_bit.http),
        "FLB_STORAGE": str(tmp_path / "made/by/it"),
        "FLB_SOCKET": str(tmp_path / "made/by/it" / Path(defaults()["FLB_SOCKET"]).name),
    }
    filled = {"https://es.example:9200": elastic.url, **FILLED}
    for given, here in filled.items():
        assert given in first, given
        first = first.replace(given, here)
    copy = next(line for line in first.splitlines() if line.startswith("cp "))
    edits = "".join(f" -e 's|^{name}=.*|{name}={value}|'" for name, value in changes.items())
    script = first.replace(copy, f"{copy}\nsed -i{edits} logship.env").replace("\nfluent-bit ", "\nexec fluent-bit ")
    (tmp_path / "pipelines").symlink_to(ROOT / "pipelines")
    around = environment(
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}", HOME=str(tmp_path),
        LOGSHIP_ELASTIC_NAMESPACE=namespace, LOGSHIP_AGENT=f"127.0.0.1:{fluent_bit.port}",
        LOGSHIP_HTTP=f"127.0.0.1:{free_port()}", LOGSHIP_STATE_DIR=str(tmp_path / "state"),
    )  # fmt: skip
    around |= {"LOGSHIP_ELASTIC_URL": elastic.url} | who(elastic)
    shell = ["/bin/bash", "-ec", f"cd {tmp_path}\n{script}"]
    with Process(shell, around, tmp_path / "shell.txt") as typed:
        until(lambda: typed.ended() or listens(fluent_bit.port), typed.said)
        assert not typed.ended(), typed.said()
        doctor = subprocess.run(["/bin/bash", "-ec", second], env=around, capture_output=True, text=True, timeout=120)
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr
        assert re.search(r"agent to elasticsearch\s+the event was found", doctor.stdout), doctor.stdout
        said = (tmp_path / "shell.txt").read_text(encoding="utf-8", errors="replace")
        warned = re.findall(r"\[ ?warn\] (.*)", said)
        assert [one for one in warned if not re.search(r"variable .* is used but not set", one)] == []
        assert len(warned) >= 5
        assert "[error]" not in said
    assert elastic.count(mapping.stream(namespace)) == 1


def who(elastic: Server) -> dict[str, str]:
    """The settings of whoever may do everything on this Elasticsearch."""
    given = {"USER": elastic.user, "PASSWORD": elastic.password, "CA_FILE": elastic.ca_file}
    return {f"LOGSHIP_ELASTIC_{name}": value for name, value in given.items() if value}


def test_a_socket_lies_where_its_directory_is_made() -> None:
    """Fluent Bit makes its storage directory before it listens, and exits with 255 where that of a socket is missing."""
    assert Path(defaults()["FLB_SOCKET"]).parent == Path(defaults()["FLB_STORAGE"])


@pytest.mark.parametrize("page", [ELK, LOSSES])
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", page):
        assert (ROOT / "docs" / link).exists(), link
