"""docker-compose.yml without Docker: its form, its files, its ports and passwords, and what its services are told, tried on
the programs that are here."""

import contextlib
import fnmatch
import graphlib
import json
import logging
import os
import re
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import jsonschema_rs
import pytest

from compose import write_env
from logship.cli.registry import logship
from logship.elastic import mapping
from logship.settings import load
from tests.compose.stack import FILE, ROOT, TEXT, VARIABLE, Service, env_file, environment, stack, yaml
from tests.elastic import node, server
from tests.pipelines import agent
from tests.pipelines.agent import Agent
from tests.proofs.scene import Process, free_port, until
from tests.proofs.scene import environment as ours

VALUES = {name: write_env.made(name) for name in write_env.SECRETS}
STACK = stack(VALUES)
SERVICES: dict[str, Service] = STACK["services"]
SCHEMA = json.loads((Path(__file__).parent / "schema.json").read_text(encoding="utf-8"))
JOBS = {"setup", "dashboards", "kibana-user", "splunk-app"}
# As the documentation of the image names settings: SERVER_NAME is server.name.
KIBANA = set(
    "SERVER_NAME SERVER_PUBLICBASEURL ELASTICSEARCH_HOSTS ELASTICSEARCH_USERNAME ELASTICSEARCH_PASSWORD TELEMETRY_OPTIN "
    "NODE_OPTIONS XPACK_ENCRYPTEDSAVEDOBJECTS_ENCRYPTIONKEY XPACK_SECURITY_ENCRYPTIONKEY XPACK_REPORTING_ENCRYPTIONKEY".split()
)


def faults(body: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema_rs.Draft7Validator(SCHEMA).iter_errors(body)]


def test_the_file_has_the_form_that_compose_asks_for() -> None:
    assert faults(STACK) == []


@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        ("shop", {"enviroment": {}}), ("shop", {"mem_limit": "lots"}), ("shop", {"restart": "sometimes"}),
        ("shop", {"depends_on": {"setup": {"condition": "healthy"}}}), ("shop", {"ports": [8000]}),
        ("shop", {"environment": {"A": 1}}), ("kibana", {"healthcheck": {"interval": "5s"}}),
        ("kibana", {"healthcheck": {"test": "x", "interval": "5"}}),
    ],
)  # fmt: skip
def test_another_form_is_found(where: str, wrong: dict[str, Any]) -> None:
    services = {**SERVICES, where: SERVICES[where] | wrong}
    assert faults({**STACK, "services": services})
    assert faults({**STACK, "service": {}})


def test_every_version_is_said_once_at_the_top() -> None:
    images = STACK["x-images"]
    assert {one["image"] for one in SERVICES.values()} == {*images.values(), "logship:local"}
    written = re.findall(r"(?m)^ +image: (.*)$", TEXT)
    assert all(one.startswith("*") or one == "logship:local" for one in written)
    assert images["elasticsearch"].rpartition(":")[2] == images["kibana"].rpartition(":")[2] == node.VERSIONS[0]
    other = stack(VALUES | {"STACK_VERSION": "9.9.9"})
    assert {
        one["image"].rpartition(":")[2] for name, one in other["services"].items() if "elastic" in one["image"]
    } == {"9.9.9"}


def test_one_service_builds_an_image_and_the_others_use_it() -> None:
    builders = {name: one["image"] for name, one in SERVICES.items() if "build" in one}
    assert builders == {"setup": "logship:local"}
    users = [one for name, one in SERVICES.items() if one["image"] == "logship:local" and name not in builders]
    assert {one["pull_policy"] for one in users} == {"never"}
    assert SERVICES["setup"]["pull_policy"] == "build"
    assert all("pull_policy" not in one for one in SERVICES.values() if one["image"] != "logship:local")


def test_nothing_below_a_directory_of_splunk_is_read_only(tmp_path: Path) -> None:
    """Its start-up changes the owner of every file there. The app is copied there instead, with the job's own command."""
    mounts = [volume.split(":") for volume in SERVICES["splunk"]["volumes"]]
    assert [mount for mount in mounts if mount[2:] or mount[0].startswith(".")] == []
    job = SERVICES["splunk-app"]
    places = {target: source for source, target, *_ in (volume.split(":") for volume in job["volumes"])}
    assert [places["/app"], "/opt/splunk/etc/apps/logship"] in mounts
    here = {"/logship": str(ROOT / places["/logship"]), "/app": str(tmp_path / "app")}
    (tmp_path / "app").mkdir()
    for _ in range(2):  # the volume keeps what was copied when the stack was started before
        subprocess.run([*job["entrypoint"], *(here.get(word, word) for word in job["command"])], check=True)
    copied = {str(file.relative_to(tmp_path / "app")) for file in (tmp_path / "app").rglob("*.*")}
    assert {"default/savedsearches.conf", "metadata/default.meta"} <= copied


def test_every_variable_has_a_default_or_is_made() -> None:
    asked = {found[1]: found[2] for found in VARIABLE.finditer(TEXT) if found[1]}
    assert {name for name, kind in asked.items() if kind == "?"} == set(write_env.SECRETS)
    assert {name for name, kind in asked.items() if kind is None} == set()
    with pytest.raises(KeyError, match=r"make stack writes \.env"):
        stack({})
    offered = set(re.findall(r"(?m)^# ([A-Z_]+)=", write_env.CHOICES))
    assert offered <= asked.keys()


def test_every_mounted_file_is_there_and_every_volume_is_declared() -> None:
    named = set()
    for one in SERVICES.values():
        for volume in one.get("volumes", ()):
            source, target, *mode = volume.split(":")
            assert target.startswith("/")
            if source.startswith("."):
                assert (ROOT / source).exists(), source
                assert mode == ["ro"]
            else:
                named.add(source)
        assert all((ROOT / name).is_file() for name in one.get("env_file", ()))
    assert named == STACK["volumes"].keys()


def test_ports_are_on_loopback_alone_and_each_is_there_once() -> None:
    ports = [port for one in SERVICES.values() for port in one.get("ports", ())]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert len({port.split(":")[1] for port in ports}) == len(ports)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_limit_and_waits_for_what_can_be_waited_for(name: str) -> None:
    one = SERVICES[name]
    assert "mem_limit" in one
    assert (name in JOBS) != ("restart" in one)
    for other, how in one.get("depends_on", {}).items():
        assert not SERVICES[other].get("profiles") or set(SERVICES[other]["profiles"]) >= set(one.get("profiles", ()))
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert other in JOBS
    if name not in JOBS | {"traffic", "fluent-bit", "splunk"}:
        assert "healthcheck" in one


def test_nothing_waits_for_itself() -> None:
    graphlib.TopologicalSorter({name: one.get("depends_on", {}) for name, one in SERVICES.items()}).prepare()


def test_services_speak_to_services_that_there_are() -> None:
    for name, one in SERVICES.items():
        for value in environment(one).values():
            for host in re.findall(r"http://([a-z-]+):\d+", value):
                assert host in {*SERVICES, "localhost"}, (name, value)
    told = environment(SERVICES["fluent-bit"])
    assert {told["ES_HOST"], told["SPLUNK_HOST"]} <= SERVICES.keys()
    assert SERVICES["shop"]["environment"]["LOGSHIP_AGENT"] == f"fluent-bit:{told['FLB_PORT']}"


def test_who_proves_what_to_whom() -> None:
    told = {name: environment(one) for name, one in SERVICES.items()}
    assert told["shop"]["LOGSHIP_AGENT_SHARED_KEY"] == told["fluent-bit"]["FLB_SHARED_KEY"]
    assert told["setup"]["LOGSHIP_ELASTIC_SHIPPER_PASSWORD"] == told["fluent-bit"]["ES_PASSWORD"]
    assert told["setup"]["LOGSHIP_ELASTIC_READER_PASSWORD"] == told["grafana"]["READER_PASSWORD"]
    assert told["setup"]["LOGSHIP_ELASTIC_PASSWORD"] == told["elasticsearch"]["ELASTIC_PASSWORD"]
    assert told["kibana"]["ELASTICSEARCH_PASSWORD"] == told["kibana-user"]["KIBANA_PASSWORD"]
    assert told["splunk"]["SPLUNK_HEC_TOKEN"] == told["fluent-bit"]["SPLUNK_TOKEN"]
    assert told["elasticsearch"]["xpack.security.enabled"] == "true"
    assert len(told["kibana"]["XPACK_SECURITY_ENCRYPTIONKEY"]) >= 32
    assert told["kibana"].keys() == KIBANA


@pytest.mark.parametrize("name", [name for name, one in SERVICES.items() if one["image"] == "logship:local"])
def test_settings_are_known_and_commands_are_ours(name: str, caplog: pytest.LogCaptureFixture) -> None:
    told, words = environment(SERVICES[name]), SERVICES[name]["command"]
    with caplog.at_level(logging.WARNING):
        settings = load(environment=told)
    assert caplog.text == ""
    assert {one for one in told if settings.origins.get(one.removeprefix("LOGSHIP_").lower()) != "environment"} == set()
    if words[0] == "logship":
        command = logship.get_command(click.Context(logship), words[1])
        assert command is not None
        with contextlib.suppress(SystemExit):
            context = command.make_context(words[1], [*words[2:]], resilient_parsing=False)
            assert not context.args or words[1] == "run"


def test_fluent_bit_is_told_nothing_that_its_configuration_does_not_read() -> None:
    assert environment(SERVICES["fluent-bit"]).keys() == agent.defaults().keys()
    (mounted,) = [one for one in SERVICES["fluent-bit"]["volumes"] if one.startswith("./")]
    assert (ROOT / mounted.split(":")[0]) == agent.CONFIG
    assert SERVICES["fluent-bit"]["command"] == ["-c", mounted.split(":")[1]]
    told = environment(SERVICES["fluent-bit"])
    assert told["FLB_STORAGE"] in [volume.split(":")[1] for volume in SERVICES["fluent-bit"]["volumes"]]
    # Fluent Bit makes its storage, and not the directory of a socket.
    assert os.path.dirname(told["FLB_SOCKET"]) == told["FLB_STORAGE"]


@agent.needed
def test_fluent_bit_takes_what_it_is_told(tmp_path: Path) -> None:
    told = environment(SERVICES["fluent-bit"]) | {"FLB_STORAGE": str(tmp_path), "FLB_SOCKET": str(tmp_path / "s")}
    done = subprocess.run(
        [shutil.which("fluent-bit") or "", "--dry-run", "-c", str(agent.CONFIG)],
        env={**ours(), **told}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "configuration test is successful" in done.stdout + done.stderr


def test_the_job_for_kibana_sends_json_that_survives_the_shell(tmp_path: Path) -> None:
    """With a curl that writes down its arguments."""
    one = SERVICES["kibana-user"]
    curl = tmp_path / "curl"
    curl.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    curl.chmod(0o755)
    around = {**environment(one), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([*one["entrypoint"], *one["command"]], env=around, capture_output=True, text=True, check=True)
    words = json.loads(done.stdout)
    assert json.loads(words[words.index("-d") + 1]) == {"password": VALUES["KIBANA_PASSWORD"]}
    assert words[words.index("-u") + 1] == f"elastic:{VALUES['ELASTIC_PASSWORD']}"
    assert "http://elasticsearch:9200/_security/user/kibana_system/_password" in words


PROGRAMS = {"logship": [sys.executable, "-m", "logship"], "python": [sys.executable]}


def native(words: list[str], port: str) -> list[str]:
    """A command of a service as it is run here, at another port of loopback alone."""
    ports = [word.replace("8000", port).replace("9464", str(free_port())) for word in words]
    moved = [re.sub(r"0\.0\.0\.0|(?<=host=')shop(?=')", "127.0.0.1", word) for word in ports]
    return [*PROGRAMS[moved[0]], *moved[1:]]


@contextlib.contextmanager
def serving(port: str, told: dict[str, str], folder: Path) -> Iterator[Process]:
    """The shop, from when its own health check says so."""
    around = ours(**told, PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    check = native(SERVICES["shop"]["healthcheck"]["test"][1:], port)
    with Process(native(SERVICES["shop"]["command"], port), around, folder / "shop.txt") as shop:
        until(lambda: shop.ended() or not subprocess.run(check, capture_output=True).returncode, shop.said)
        assert not shop.ended(), shop.said()
        yield shop


def asking(port: str, folder: Path) -> Process:
    """The customers."""
    return Process(native(SERVICES["traffic"]["command"], port), ours(), folder / "customers.txt")


@pytest.mark.prove
def test_shop_and_customers_start_with_their_commands(tmp_path: Path) -> None:
    port, events = str(free_port()), tmp_path / "events.jsonl"
    told = environment(SERVICES["shop"]) | {"LOGSHIP_STATE_DIR": str(tmp_path), "LOGSHIP_AGENT": f"file:{events}"}
    del told["LOGSHIP_AGENT_SHARED_KEY"]
    with serving(port, told, tmp_path) as shop, asking(port, tmp_path) as customers:

        def workers() -> set[object]:
            lines = events.read_text().splitlines()[:-1] if events.exists() else []
            return {one.get("service.node.name") for one in map(json.loads, lines) if one.get("http.route")}

        until(lambda: len(workers()) == 4, lambda: shop.said() + customers.said())
        shop.stop()
        events.unlink()
        with serving(port, told, tmp_path) as again:
            until(lambda: len(workers()) == 4, lambda: again.said() + customers.said())


def test_customers_have_a_network_of_their_own() -> None:
    """A container that borrows the network of another keeps a dead one when that other is restarted."""
    assert [name for name, one in SERVICES.items() if "network_mode" in one] == []


@pytest.mark.prove
def test_elasticsearch_takes_its_settings() -> None:
    told = {name: value for name, value in environment(SERVICES["elasticsearch"]).items() if name[0].islower()}
    with server.own(**told) as elastic:
        assert elastic.ask("GET", "/_cluster/health")[0] == 401


def test_the_env_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    assert "written" in write_env.write(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = file.read_text(encoding="utf-8")
    made = env_file(file)
    assert made.keys() == write_env.SECRETS.keys()
    assert len(set(made.values())) == len(made)
    assert all(re.fullmatch(r"[a-z0-9-]{36,}", value) for value in made.values())
    assert "kept" in write_env.write(file)
    assert file.read_text(encoding="utf-8") == first
    assert stack(made)["services"]["elasticsearch"]["environment"]["ELASTIC_PASSWORD"] == made["ELASTIC_PASSWORD"]
    file.write_text("ELASTIC_PASSWORD=mine\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="exists and lacks KIBANA_PASSWORD"):
        write_env.write(file)
    assert file.read_text(encoding="utf-8") == "ELASTIC_PASSWORD=mine\n"


def test_the_env_file_is_written_by_make_and_ignored_by_git() -> None:
    target = re.search(r"(?m)^stack:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert target is not None
    assert target[1].splitlines()[0] == "\t@$(PYTHON) compose/write_env.py"
    assert "docker compose up" in target[1]
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_the_image_is_made_of_what_it_is_given() -> None:
    build = SERVICES["setup"]["build"]
    lines = (ROOT / build["dockerfile"]).read_text(encoding="utf-8").splitlines()
    seen = [
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    ]
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in shlex.split(line)[1:-1]
    ]
    assert sorted(copied) == sorted(seen)
    assert all((ROOT / name).exists() for name in copied)
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    read = {told["project"]["readme"], *told["project"]["license-files"], "pyproject.toml"}
    read |= told["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].keys()
    assert all(any(fnmatch.fnmatch(name, one) for one in copied) for name in read)
    users = [line for line in lines if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]
    state = [volume.split(":")[1] for volume in SERVICES["shop"]["volumes"]]
    assert any(line.startswith("RUN install -d -o 10001") and line.endswith(state[0]) for line in lines)


def test_prometheus_asks_where_somebody_answers() -> None:
    told = yaml.safe_load((ROOT / "compose/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    jobs = {job["job_name"]: job for job in told["scrape_configs"]}
    (target,) = jobs["fluent-bit"]["static_configs"][0]["targets"]
    assert target == f"fluent-bit:{environment(SERVICES['fluent-bit'])['FLB_HTTP_PORT']}"
    assert jobs["fluent-bit"]["metrics_path"] == "/api/v2/metrics/prometheus"
    (target,) = jobs["logship-workers"]["static_configs"][0]["targets"]
    words = SERVICES["shop"]["command"]
    assert target == f"shop:{words[words.index('--metrics') + 1].rpartition(':')[2]}"
    assert jobs["logship-collector"]["metrics_path"] == "/metrics"
    places = [volume.split(":")[1] for volume in SERVICES["prometheus"]["volumes"]]
    # Relative to the file itself: the same in the container and in a working copy.
    assert jobs["logship-collector"]["file_sd_configs"] == [{"files": ["collectors/*.yaml"]}]
    token = jobs["logship-collector"]["authorization"]["credentials_file"]
    assert (ROOT / "compose/prometheus" / token).read_bytes() == b""
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert f"!compose/prometheus/{token}" in ignored
    assert f"--config.file={places[0]}/prometheus.yml" in SERVICES["prometheus"]["command"]


def test_grafana_finds_what_is_provisioned() -> None:
    places = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    boards = yaml.safe_load((ROOT / "compose/grafana/provisioning/dashboards/logship.yaml").read_text(encoding="utf-8"))
    assert boards["providers"][0]["options"]["path"] == places["./compose/grafana/dashboards"]
    sources = yaml.safe_load(
        (ROOT / "compose/grafana/provisioning/datasources/logship.yaml").read_text(encoding="utf-8")
    )
    told = environment(SERVICES["grafana"])
    for source in sources["datasources"]:
        host, port = re.fullmatch(r"http://([a-z]+):(\d+)", source["url"]).groups()  # type: ignore[union-attr]
        assert port in {one.split(":")[2] for one in SERVICES[host]["ports"]}
        for value in source.get("secureJsonData", {}).values():
            assert value.removeprefix("$") in told


def test_the_file_is_read_by_docker_compose_where_it_is(tmp_path: Path) -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("docker compose is not installed: the file was checked against its schema alone")
    around = {**ours(), **VALUES}
    done = subprocess.run(
        ["docker", "compose", "-f", str(FILE), "config", "--quiet"],
        env=around,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@agent.needed
@pytest.mark.timeout(300)
def test_what_services_are_told_brings_the_shop_into_elasticsearch(elastic: node.Server, tmp_path: Path) -> None:
    """Shop, customers and Fluent Bit with their commands and environments, at other addresses: key and names must fit."""
    namespace, port = server.new_namespace(), str(free_port())
    where = urlsplit(elastic.url)
    told = environment(SERVICES["fluent-bit"])
    kept = {
        name: told[name]
        for name in ("FLB_SHARED_KEY", "FLB_TO_ELASTICSEARCH", "FLB_TO_SPLUNK", "SPLUNK_TOKEN", "ES_TLS")
    }
    there = {"ES_HOST": where.hostname or "", "ES_PORT": str(where.port), "ES_STREAM": mapping.stream(namespace)}
    who = {"ES_USER": elastic.user, "ES_PASSWORD": elastic.password}
    with Agent(tmp_path, {**kept, **there, **who}) as fluent_bit:
        fluent_bit.wait_ready()
        around = environment(SERVICES["shop"])
        around |= {"LOGSHIP_STATE_DIR": str(tmp_path), "LOGSHIP_AGENT": f"127.0.0.1:{fluent_bit.port}"}
        with serving(port, around, tmp_path), asking(port, tmp_path):
            workers = {"size": 0, "aggs": {"w": {"terms": {"field": "service.node.name"}}}}
            path = f"/{mapping.stream(namespace)}/_search?ignore_unavailable=true"

            def seen() -> set[str]:
                elastic.ask("POST", f"/{mapping.stream(namespace)}/_refresh")
                status, found = elastic.ask(
                    "POST", path, {**workers, "query": {"term": {"event.action": "http-request"}}}
                )
                return (
                    {one["key"] for one in found["aggregations"]["w"]["buckets"]}
                    if status == 200 and "aggregations" in found
                    else set()
                )

            until(lambda: len(seen()) == 4, fluent_bit.said)
            assert seen() == {f"{socket.gethostname()}/8000/w{slot}" for slot in range(4)}
