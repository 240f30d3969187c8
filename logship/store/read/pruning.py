"""Which events a query can match at most, so that only the segments that may hold them are read."""

from logship.search.kql import And, Is, Node, Or, Text


def wanted_ids(where: Node | None) -> set[str] | None:
    """Return event ids of which a matching event has one, None if other events may match as well."""
    match where:
        case Is(Text("event.id"), Text(id_)):
            return {id_}
        case And(parts):
            return next((wanted for wanted in map(wanted_ids, parts) if wanted is not None), None)
        case Or(parts):
            alternatives = [wanted_ids(part) for part in parts]
            return None if None in alternatives else {id_ for wanted in alternatives if wanted for id_ in wanted}
    return None
