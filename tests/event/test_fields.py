import csv
from pathlib import Path

import pytest

from logship.event.fields import BY_NAME, DROP_REASONS, FIELDS, Field

with (Path(__file__).parents[1] / "data" / "ecs-fields.csv").open(newline="", encoding="utf-8") as rows:
    ECS = {row["Field"]: row for row in csv.DictReader(rows)}

TYPES = {
    *("boolean", "date", "date_nanos", "double", "flattened", "ip", "keyword", "long", "match_only_text", "object", "short"),
    *("text", "wildcard"),
}


@pytest.mark.parametrize("field", [field for field in FIELDS if field.ecs], ids=lambda field: field.name)
def test_a_field_of_ecs_has_the_type_that_ecs_gives_it(field: Field) -> None:
    assert field.type == ECS[field.name]["Type"]
    assert field.many == (ECS[field.name]["Normalization"] == "array")


@pytest.mark.parametrize("field", [field for field in FIELDS if not field.ecs], ids=lambda field: field.name)
def test_a_field_of_our_own_does_not_take_a_name_of_ecs(field: Field) -> None:
    assert field.name not in ECS
    assert field.name in {"http.route", "parent.id", "numeric_labels"} or field.name.startswith("logship.")


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_field_says_what_it_is_in_a_sentence(field: Field) -> None:
    assert field.sentence[:1].isupper() or field.sentence[:1] == "`"
    assert field.sentence.endswith(".")
    assert {field.type, field.stored_type} <= TYPES
    assert field.stored != field.type


def test_each_name_is_there_once_and_none_is_inside_another() -> None:
    assert len(BY_NAME) == len(FIELDS)
    parents = {name.rpartition(".")[0] for name in BY_NAME} - {""}
    assert parents.isdisjoint(BY_NAME)


def test_types_that_not_every_store_has_fall_back() -> None:
    assert BY_NAME["@timestamp"].stored_type == "date_nanos"
    assert BY_NAME["message"].stored_type == "text"
    assert BY_NAME["url.path"].stored_type == "keyword"
    assert BY_NAME["event.duration"].stored_type == "long"


def test_each_drop_reason_has_its_counter() -> None:
    assert {name for name in BY_NAME if name.startswith("logship.dropped.")} == {
        f"logship.dropped.{reason}" for reason in DROP_REASONS
    }
