"""`logship setup elastic`: prepares Elasticsearch and Kibana for events and hourly totals. Idempotent.

    def agree(plan: Plan) -> bool: ...          # show plan.steps and plan.notes and confirm; False for --dry-run
    setup(settings, agree, done=show)           # ends with a check that new streams get logship's mapping

If the address of Kibana is set, setup waits for it first and imports the dashboards last. The index template is created after
the component templates, which have no effect without it.

`python -m logship.elastic.setup` writes the same bodies to `pipelines/elasticsearch/`, for use without this command."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from elasticsearch import Elasticsearch

from logship.elastic import access, mapping
from logship.elastic.access import Step
from logship.elastic.alert_steps import alert_steps
from logship.elastic.client import Kibana, connect, translated
from logship.elastic.simulate import problem_of_new
from logship.elastic.steps import kibana_step, stream_steps, template_step
from logship.elastic.templates import DataSet, data_sets, documents
from logship.errors import ElasticError, SettingsError
from logship.settings import Settings

OLDEST: Final = (8, 19)
BEYOND: Final = (10,)
SPOKEN: Final = "8.19 to 9.x"
FILES: Final = Path("pipelines/elasticsearch")
# Beside this module in what is installed, at the project's root in a working copy.
_SHIPPED: Final = Path(__file__).with_name("logship.ndjson")
DASHBOARDS: Final = _SHIPPED if _SHIPPED.exists() else Path(__file__).parents[2] / "kibana/logship.ndjson"


@dataclass(frozen=True, slots=True)
class Plan:
    """What setup would do, in order. `notes`: what remains for the operator; `version`: empty if it may not be read."""

    url: str
    version: str
    stream: str
    steps: tuple[Step, ...]
    notes: tuple[str, ...]

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that change something."""
        return tuple(step for step in self.steps if step.change != "keep")


def setup(
    settings: Settings,
    agree: Callable[[Plan], bool],
    done: Callable[[Step], None] = lambda _: None,
    dashboards: Path = DASHBOARDS,
    alerts: bool = False,
) -> bool:
    """Make a plan, apply it if `agree(plan)` returns True, and check the result. Return whether it was applied.

    `done`: called after each step; `dashboards`: the file for Kibana, if its address is set; `alerts`: also create alerting rules
    there. `agree` is also called if there is nothing to change. ElasticError and SettingsError say what to do."""
    with connect(settings) as client:
        plan = make_plan(client, settings, dashboards, alerts)
        agreed = agree(plan)
        if agreed:
            apply(client, settings, plan, done)
        elif not plan.changes:
            check(client, settings)
        return agreed


def make_plan(
    client: Elasticsearch, settings: Settings, dashboards: Path = DASHBOARDS, alerts: bool = False
) -> Plan:
    """Return what has to be done on the server. ElasticError if it must not or cannot be done."""
    if alerts and not settings.kibana_url:
        raise SettingsError("--alerts creates rules in Kibana: set LOGSHIP_KIBANA_URL")
    name = stream_name(settings)
    version = version_of(client, settings)
    notes = [] if version else [f"the version is not known (no permission to read it): logship supports {SPOKEN}"]
    rights = access.rights(client, settings)
    kinds = data_sets(settings.elastic_namespace, settings.elastic_retention_days)
    for kind in kinds:
        _refuse_overruled(client, settings, kind)
    steps = [
        template_step(client, settings, path, body)
        for path, body in documents(settings.elastic_retention_days).items()
    ]
    for kind in kinds:
        steps += stream_steps(client, settings, kind, notes)
    steps += access.steps(client, settings, rights, notes)
    if settings.kibana_url:
        steps.append(kibana_step(settings, dashboards))
        steps += alert_steps(Kibana(settings)) if alerts else ()
    else:
        notes.append("Kibana is not set up: set LOGSHIP_KIBANA_URL to import the dashboards")
    return Plan(settings.elastic_url, version, name, tuple(steps), tuple(notes))


def apply(client: Elasticsearch, settings: Settings, plan: Plan, done: Callable[[Step], None] = lambda _: None) -> None:
    """Apply the changes of `plan` in order, call `done` after each, and check the result. ElasticError names the step."""
    for step in plan.changes:
        with translated(settings, f"putting {step.path}"):
            step.do()
        done(step)
    check(client, settings)


def check(client: Elasticsearch, settings: Settings) -> None:
    """Return if new data streams would get logship's mapping. Otherwise ElasticError names the template that wins."""
    stream_name(settings)
    for kind in data_sets(settings.elastic_namespace):
        if problem := problem_of_new(client, settings, kind):
            raise ElasticError(problem)


def stream_name(settings: Settings) -> str:
    """Return the name of the data stream. SettingsError if the namespace is not valid in Elasticsearch."""
    namespace = settings.elastic_namespace
    if not namespace or namespace != namespace.lower() or any(one in namespace for one in '\\/*?"<>| ,#:-'):
        raise SettingsError(
            f"elastic_namespace must be lowercase letters, digits, dots and underscores, e.g. default, not {namespace!r}"
        )
    return mapping.stream(namespace)


def version_of(client: Elasticsearch, settings: Settings) -> str:
    """Return the oldest version in the cluster, "" if it may not be read."""
    try:
        with translated(settings, "reading its version"):
            nodes = client.nodes.info(filter_path="nodes.*.version")["nodes"]
    except ElasticError as error:
        if error.status == 403:
            return ""
        raise
    version = min((str(node["version"]) for node in nodes.values()), key=_numbers)
    if not OLDEST <= _numbers(version) < BEYOND:
        raise ElasticError(
            f"Elasticsearch at {settings.elastic_url} is {version}; logship supports {SPOKEN}: use a version of "
            "logship that supports it"
        )
    return version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())


def _refuse_overruled(client: Elasticsearch, settings: Settings, kind: DataSet) -> None:
    """Raise ElasticError for another template that matches the stream: with a higher priority it would silently win."""
    with translated(settings, "reading index templates"):
        templates = client.indices.get_index_template()["index_templates"]
    for one in templates:
        body = one["index_template"]
        if one["name"] == kind.template or body.get("priority", 0) < mapping.PRIORITY:
            continue
        if any(fnmatchcase(kind.stream, pattern) for pattern in body["index_patterns"]):
            raise ElasticError(
                f"the index template {one['name']!r} ({', '.join(body['index_patterns'])}, priority {body['priority']}) also "
                f"matches {kind.stream}, where logship's template has priority {mapping.PRIORITY}: narrow its pattern or lower "
                "its priority, then retry"
            )


def files() -> dict[str, str]:
    """Return the text of every file of `pipelines/elasticsearch/` by name, the same on every machine."""
    named = {f"{path.rpartition('/')[2]}.json": body for path, body in documents().items()}
    bodies: dict[str, mapping.Body] = {**named, "roles.json": access.ROLES}
    return {name: json.dumps(body, indent=2, ensure_ascii=False) + "\n" for name, body in bodies.items()}


def write_files(directory: Path = FILES) -> None:
    """Write every file into `directory`."""
    for name, text in files().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_files()
