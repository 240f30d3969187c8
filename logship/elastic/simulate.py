"""Whether a new data stream would get logship's mapping: Elasticsearch does not report which template wins."""

from elasticsearch import Elasticsearch

from logship.elastic import mapping
from logship.elastic.client import translated
from logship.elastic.compare import flat
from logship.elastic.templates import DataSet
from logship.settings import Settings


def problem_of_new(client: Elasticsearch, settings: Settings, kind: DataSet) -> str:
    """Return why a new stream of this kind would not get logship's mapping, "" if it would. ElasticError if it is not known."""
    name = kind.stream
    with translated(settings, f"simulating {name}"):
        told = client.indices.simulate_index_template(name=name)
    mappings = told["template"].get("mappings", {})
    if mappings.get("_meta", {}).get("logship", {}).get("version") != mapping.VERSION:
        others = ", ".join(sorted(one["name"] for one in told.get("overlapping", []))) or "another index template"
        return f"a new {name} would not get logship's mapping: check the templates {others}"
    theirs = flat(mappings["properties"])
    ours = {path: type_ for path, type_ in flat(kind.mappings["properties"]).items() if path.endswith(".type")}
    wrong = sorted(path for path, type_ in ours.items() if theirs.get(path) != type_)
    if wrong:
        fields = ", ".join(path.removesuffix(".type").replace(".properties", "") for path in wrong[:3])
        return f"{mapping.CUSTOM} changes fields whose type logship relies on: {fields}"
    return ""
