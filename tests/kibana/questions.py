"""KQL as Kibana writes it for Elasticsearch. Not how we write it: the panels are asked as Kibana would ask them."""

from collections.abc import Mapping
from typing import Any

from logship.search import kql

Body = dict[str, Any]

BOUNDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def as_query(node: kql.Node | None, types: Mapping[str, str]) -> Body:
    """Every `field: value` becomes a `should` over the fields that fit the name; keywords are terms, numbers and the rest
    `match`, quoted text a phrase; values go as text."""
    match node:
        case None:
            return {"match_all": {}}
        case kql.And(parts):
            return {"bool": {"filter": [as_query(part, types) for part in parts]}}
        case kql.Or(parts):
            return {"bool": {"should": [as_query(part, types) for part in parts], "minimum_should_match": 1}}
        case kql.Not(part):
            return {"bool": {"must_not": as_query(part, types)}}
        case kql.Range(kql.Text(name), operator, kql.Text(value)):
            return _any({"range": {name: {BOUNDS[operator]: value}}})
        case kql.Is(kql.Text(name), kql.Pattern() as pattern) if pattern.any:
            return _any({"exists": {"field": name}})
        case kql.Is(kql.Text(name), kql.Text(value) as text):
            if types.get(name) == "keyword":
                return _any({"term": {name: {"value": value}}})
            return _any({"match_phrase" if text.quoted else "match": {name: value}})
    raise ValueError(f"Kibana would write {node}, and this does not know how")


def _any(one: Body) -> Body:
    return {"bool": {"should": [one], "minimum_should_match": 1}}
