"""`logship setup elastic`: what an Elasticsearch needs before the first event. Looks, says what it would do, does it, checks.

    def agree(plan: Plan) -> bool: ...          # show plan.steps and plan.notes, ask; False for --dry-run
    setup(settings, agree, done=tell)           # and ends with a check that our mapping is what a new stream gets

Where Kibana's address is set, it is waited for before anything is done, and gets its dashboards last.

Doing it twice is doing it once. The index template is put last: until then nothing that is put has an effect.

`python -m logship.elastic.setup` writes the same bodies to `pipelines/elasticsearch/`, for those who put them themselves."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from elasticsearch import ApiError, BadRequestError, Elasticsearch, NotFoundError

from logship.elastic import access, mapping
from logship.elastic.access import Step
from logship.elastic.client import Kibana, connect, objects_of, translated
from logship.errors import ElasticError, SettingsError
from logship.settings import Settings

OLDEST: Final = (8, 19)
BEYOND: Final = (10,)
SPOKEN: Final = "8.19 to 9.x"
FILES: Final = Path("pipelines/elasticsearch")
# Beside this module in what is installed, at the project's root in a working copy.
_SHIPPED: Final = Path(__file__).with_name("logship.ndjson")
DASHBOARDS: Final = _SHIPPED if _SHIPPED.exists() else Path(__file__).parents[2] / "kibana/logship.ndjson"
DATA_VIEW: Final = "logship-events"


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done, in order. `notes`: what is left to the operator. `version`: empty when it may not be asked."""

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
) -> bool:
    """Look, show the plan to `agree`, do it if that returns True, and check; False if it was not to be done.

    `done` hears of each step that was. ElasticError and SettingsError are sentences for people. Without changes nothing is
    done, but `agree` sees the plan all the same. `dashboards`: what Kibana gets, if its address is set."""
    with connect(settings) as client:
        plan = make_plan(client, settings, dashboards)
        agreed = agree(plan)
        if agreed:
            apply(client, settings, plan, done)
        elif not plan.changes:
            check(client, settings)
        return agreed


def make_plan(client: Elasticsearch, settings: Settings, dashboards: Path = DASHBOARDS) -> Plan:
    """Look at the server and return what is to be done there; ElasticError where it must not or cannot be done."""
    name = stream_name(settings)
    version = version_of(client, settings)
    notes = [] if version else [f"the version is not known (no right to ask): logship works with {SPOKEN}"]
    rights = access.rights(client, settings)
    _refuse_overruled(client, settings, name)
    steps = [
        _template_step(client, settings, path, body)
        for path, body in mapping.documents(settings.elastic_retention_days).items()
    ]
    for one in _streams(client, settings):
        steps += _stream_steps(client, settings, one, notes)
    steps += access.steps(client, settings, rights, notes)
    if settings.kibana_url:
        steps.append(_kibana_step(settings, dashboards))
    else:
        notes.append("Kibana gets nothing: to bring it dashboards, set LOGSHIP_KIBANA_URL")
    return Plan(settings.elastic_url, version, name, tuple(steps), tuple(notes))


def apply(client: Elasticsearch, settings: Settings, plan: Plan, done: Callable[[Step], None] = lambda _: None) -> None:
    """Do the changes of `plan` in order, call `done` after each, and check the outcome. ElasticError names the step."""
    for step in plan.changes:
        with translated(settings, f"putting {step.path}"):
            step.do()
        done(step)
    check(client, settings)


def check(client: Elasticsearch, settings: Settings) -> None:
    """Return if a new data stream would get our mapping; ElasticError that names who wins otherwise."""
    name = stream_name(settings)
    with translated(settings, f"simulating {name}"):
        told = client.indices.simulate_index_template(name=name)
    mappings = told["template"].get("mappings", {})
    if mappings.get("_meta", {}).get("logship", {}).get("version") != mapping.VERSION:
        others = ", ".join(sorted(one["name"] for one in told.get("overlapping", []))) or "another index template"
        raise ElasticError(f"a new {name} would not get logship's mapping: look at the templates {others}")
    theirs = _flat(mappings["properties"])
    ours = {path: kind for path, kind in _flat(mapping.mappings()["properties"]).items() if path.endswith(".type")}
    wrong = sorted(path for path, kind in ours.items() if theirs.get(path) != kind)
    if wrong:
        fields = ", ".join(path.removesuffix(".type").replace(".properties", "") for path in wrong[:3])
        raise ElasticError(f"{mapping.CUSTOM} changes fields whose type logship relies on: {fields}")


def stream_name(settings: Settings) -> str:
    """Return the name of the data stream. SettingsError if the namespace is not valid in Elasticsearch."""
    namespace = settings.elastic_namespace
    if not namespace or namespace != namespace.lower() or any(one in namespace for one in '\\/*?"<>| ,#:-'):
        raise SettingsError(
            f"elastic_namespace takes small letters, digits, dots and underscores, such as default, not {namespace!r}"
        )
    return mapping.stream(namespace)


def version_of(client: Elasticsearch, settings: Settings) -> str:
    """The oldest version in the cluster; empty when it may not be asked."""
    try:
        with translated(settings, "asking for its version"):
            nodes = client.nodes.info(filter_path="nodes.*.version")["nodes"]
    except ElasticError as error:
        if error.status == 403:
            return ""
        raise
    version = min((str(node["version"]) for node in nodes.values()), key=_numbers)
    if not OLDEST <= _numbers(version) < BEYOND:
        raise ElasticError(
            f"Elasticsearch at {settings.elastic_url} is {version}; logship's templates are made for {SPOKEN}, and it will not "
            "guess: use a logship that knows this version"
        )
    return version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())


def _refuse_overruled(client: Elasticsearch, settings: Settings, name: str) -> None:
    """A foreign template of higher priority takes over without a word, one of the same makes ours an error."""
    with translated(settings, "reading index templates"):
        templates = client.indices.get_index_template()["index_templates"]
    for one in templates:
        body = one["index_template"]
        if one["name"] == mapping.TEMPLATE or body.get("priority", 0) < mapping.PRIORITY:
            continue
        if any(fnmatchcase(name, pattern) for pattern in body["index_patterns"]):
            raise ElasticError(
                f"the index template {one['name']!r} ({', '.join(body['index_patterns'])}, priority {body['priority']}) takes "
                f"{name} from ours (priority {mapping.PRIORITY}): narrow its pattern or lower its priority, then run this again"
            )


def _template_step(client: Elasticsearch, settings: Settings, path: str, body: mapping.Body) -> Step:
    name = path.partition("/")[2]
    with translated(settings, f"reading {path}"):
        found = _found(client, path, name)

    def do() -> object:
        return client.perform_request("PUT", f"/{path}", headers=JSON, body=body)

    if found is None:
        return Step("create", path, "is not there yet", do)
    theirs = found.get("_meta", {}).get("logship")
    if not isinstance(theirs, dict):
        raise ElasticError(
            f"{path} is there and not logship's: rename it, since set-up overwrites nothing that is not its own"
        )
    if theirs.get("version", 0) > mapping.VERSION:
        raise ElasticError(
            f"{path} is of a newer logship (version {theirs['version']}, this one writes {mapping.VERSION}): upgrade this one"
        )
    if _contains(found, body):
        return Step("keep", path, "is as it should be", do)
    if theirs.get("version", 0) < mapping.VERSION:
        return Step("change", path, f"from version {theirs.get('version', 0)} to {mapping.VERSION}", do)
    return Step("change", path, "differs from what logship needs", do)


JSON: Final = {"accept": "application/json", "content-type": "application/json"}


def _found(client: Elasticsearch, path: str, name: str) -> Mapping[str, Any] | None:
    try:
        if path.startswith("_component_template/"):
            found: Mapping[str, Any] = client.cluster.get_component_template(name=name)["component_templates"][0]
            return dict(found["component_template"])
        found = client.indices.get_index_template(name=name)["index_templates"][0]
        return dict(found["index_template"])
    except NotFoundError:
        return None


def _streams(client: Elasticsearch, settings: Settings) -> list[str]:
    """The data streams of ours that exist already, of any namespace."""
    with translated(settings, "looking for data streams"):
        told = client.indices.resolve_index(name=mapping.PATTERN)
    return sorted(one["name"] for one in told["data_streams"])


def _stream_steps(client: Elasticsearch, settings: Settings, name: str, notes: list[str]) -> Iterator[Step]:
    """Streams that are there keep the mapping they were made with: new fields are added, a changed type needs a new index."""
    with translated(settings, f"reading the mapping of {name}"):
        indices = client.indices.get_mapping(index=name)
    newest = indices[max(indices)]["mappings"]
    wanted = mapping.mappings()
    path = f"{name}/_mapping"
    if _contains(newest, wanted):
        yield Step("keep", path, "is as it should be", lambda: None)
    else:
        yield Step("change", path, "new fields for the stream that is there", lambda: _bring_up(client, name, wanted))
    try:
        told = client.perform_request("GET", f"/_data_stream/{name}/_lifecycle", headers=JSON).body
    except ApiError:
        notes.append(f"this server does not tell how long {name} is kept: its retention is left as it is")
        return
    kept = told["data_streams"][0].get("lifecycle", {}).get("data_retention")
    lifecycle = mapping.lifecycle(settings.elastic_retention_days)
    path = f"_data_stream/{name}/_lifecycle"
    if kept == lifecycle.get("data_retention"):
        yield Step("keep", path, f"keeps {kept or 'everything'}", lambda: None)
    else:
        yield Step(
            "change",
            path,
            f"from {kept or 'for ever'} to {lifecycle.get('data_retention', 'for ever')}",
            lambda: client.perform_request("PUT", f"/{path}", headers=JSON, body=lifecycle),
        )


def _bring_up(client: Elasticsearch, name: str, wanted: mapping.Body) -> None:
    try:
        client.indices.put_mapping(index=name, body=wanted)
    except BadRequestError:
        # A field has another type there. The next index is made by the template; what is in the old one stays as it was.
        client.indices.rollover(alias=name)


def _kibana_step(settings: Settings, dashboards: Path, kibana: Kibana | None = None) -> Step:
    try:
        lines = dashboards.read_bytes()
        names = objects_of(lines)
    except OSError as error:
        raise SettingsError(
            f"{dashboards}, what Kibana is to get, cannot be read ({error.strerror}): it comes with logship, name "
            "your copy with --dashboards; or leave LOGSHIP_KIBANA_URL out"
        ) from error
    except ValueError as error:
        raise SettingsError(f"{dashboards} is no export of Kibana: {error}") from error
    kibana = kibana or Kibana(settings)
    kibana.wait()
    there = kibana.there(lines)
    ours = {
        f"{one['type']}/{one['id']}": one["attributes"] for one in map(json.loads, lines.splitlines()) if "type" in one
    }

    def bring() -> None:
        kibana.bring(lines)
        kibana.default_view(DATA_VIEW)

    path = f"{kibana.url}/api/saved_objects"
    if there is None:
        return Step("create", path, f"{len(names)} dashboards, panels and searches are not all there yet", bring)
    if there != ours:
        return Step("change", path, f"{sum(there[name] != ours[name] for name in ours)} of {len(names)} differ", bring)
    return Step("keep", path, "is as it should be", bring)


def _contains(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return _flat(wanted).items() <= _flat(found).items()


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Everything by its dotted path, as text: servers give numbers back as text, and leave out what they take for granted."""
    found: dict[str, str] = {}
    for name, one in value.items():
        if isinstance(one, Mapping):
            found |= _flat(one, f"{before}{name}.")
        elif not (name == "type" and one == "object"):
            found[before + name] = str(one).lower() if isinstance(one, bool) else str(one)
    return found


def files() -> dict[str, str]:
    """The text of every file of `pipelines/elasticsearch/` by its name, byte for byte the same on every machine."""
    named = {f"{path.rpartition('/')[2]}.json": body for path, body in mapping.documents().items()}
    bodies: dict[str, mapping.Body] = {**named, "roles.json": access.ROLES}
    return {name: json.dumps(body, indent=2, ensure_ascii=False) + "\n" for name, body in bodies.items()}


def write_files(directory: Path = FILES) -> None:
    """Write every file."""
    for name, text in files().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_files()
