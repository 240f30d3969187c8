"""The steps of `logship setup elastic`: templates, existing data streams, Kibana. Each compares and says what it would change."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from elasticsearch import ApiError, BadRequestError, Elasticsearch, NotFoundError

from logship.elastic import mapping
from logship.elastic.access import Step
from logship.elastic.client import Kibana, objects_of, translated
from logship.elastic.compare import contains
from logship.elastic.templates import DataSet
from logship.errors import ElasticError, SettingsError
from logship.settings import Settings

DATA_VIEW: Final = "logship-events"


def template_step(client: Elasticsearch, settings: Settings, path: str, body: mapping.Body) -> Step:
    name = path.partition("/")[2]
    with translated(settings, f"reading {path}"):
        found = _found(client, path, name)

    def do() -> object:
        return client.perform_request("PUT", f"/{path}", headers=JSON, body=body)

    if found is None:
        return Step("create", path, "does not exist yet", do)
    theirs = found.get("_meta", {}).get("logship")
    if not isinstance(theirs, dict):
        raise ElasticError(
            f"{path} exists and was not created by logship: rename it; set-up does not overwrite it"
        )
    if theirs.get("version", 0) > mapping.VERSION:
        raise ElasticError(
            f"{path} was created by a newer logship (version {theirs['version']}, this one has {mapping.VERSION}): "
            "upgrade this one"
        )
    if contains(found, body):
        return Step("keep", path, "is up to date", do)
    if theirs.get("version", 0) < mapping.VERSION:
        return Step("change", path, f"from version {theirs.get('version', 0)} to {mapping.VERSION}", do)
    return Step("change", path, "differs from logship's", do)


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


def streams(client: Elasticsearch, settings: Settings, pattern: str) -> list[str]:
    """Return the names of the data streams that match, of any namespace."""
    with translated(settings, "looking for data streams"):
        told = client.indices.resolve_index(name=pattern)
    return sorted(one["name"] for one in told["data_streams"])


def stream_steps(client: Elasticsearch, settings: Settings, kind: DataSet, notes: list[str]) -> Iterator[Step]:
    """Yield the steps for existing streams: add new fields to the mapping, roll over for a changed type, set retention."""
    for name in streams(client, settings, kind.pattern):
        yield from _stream_steps(client, settings, kind, name, notes)


def _stream_steps(
    client: Elasticsearch, settings: Settings, kind: DataSet, name: str, notes: list[str]
) -> Iterator[Step]:
    with translated(settings, f"reading the mapping of {name}"):
        indices = client.indices.get_mapping(index=name)
    newest = indices[max(indices)]["mappings"]
    path = f"{name}/_mapping"
    if contains(newest, kind.mappings):
        yield Step("keep", path, "is up to date", lambda: None)
    else:
        yield Step("change", path, "adds new fields to the existing stream", lambda: _bring_up(client, name, kind.mappings))
    try:
        told = client.perform_request("GET", f"/_data_stream/{name}/_lifecycle", headers=JSON).body
    except ApiError:
        notes.append(f"this server does not report the retention of {name}: it is not changed")
        return
    kept = told["data_streams"][0].get("lifecycle", {}).get("data_retention")
    lifecycle = kind.lifecycle
    path = f"_data_stream/{name}/_lifecycle"
    if kept == lifecycle.get("data_retention"):
        yield Step("keep", path, f"keeps {kept or 'everything'}", lambda: None)
    else:
        yield Step(
            "change",
            path,
            f"from {kept or 'forever'} to {lifecycle.get('data_retention', 'forever')}",
            lambda: client.perform_request("PUT", f"/{path}", headers=JSON, body=lifecycle),
        )


def _bring_up(client: Elasticsearch, name: str, wanted: mapping.Body) -> None:
    try:
        client.indices.put_mapping(index=name, body=wanted)
    except BadRequestError:
        # A field has another type there. The template applies to the next index; the old index does not change.
        client.indices.rollover(alias=name)


def kibana_step(settings: Settings, dashboards: Path, kibana: Kibana | None = None) -> Step:
    try:
        lines = dashboards.read_bytes()
        names = objects_of(lines)
    except OSError as error:
        raise SettingsError(
            f"{dashboards}, the dashboards for Kibana, cannot be read ({error.strerror}): they come with logship; name "
            "your copy with --dashboards, or unset LOGSHIP_KIBANA_URL"
        ) from error
    except ValueError as error:
        raise SettingsError(f"{dashboards} is not a Kibana export: {error}") from error
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
        return Step("create", path, f"{len(names)} dashboards, panels and searches do not all exist yet", bring)
    if there != ours:
        return Step("change", path, f"{sum(there[name] != ours[name] for name in ours)} of {len(names)} differ", bring)
    return Step("keep", path, "is up to date", bring)
