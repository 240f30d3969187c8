"""Who may do what: five roles, each with the least that its work needs, and the users that set-up makes where the operator
gave their passwords. `tests/elastic/test_security.py` tries every one of these rights."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from elasticsearch import Elasticsearch, NotFoundError

from logship.elastic import hours
from logship.elastic.client import translated
from logship.elastic.mapping import PATTERN, TEMPLATE
from logship.errors import ElasticError
from logship.settings import Settings

SHIPPER, LOGSTASH, READER, SETUP = "logship_shipper", "logship_logstash", "logship_reader", "logship_setup"
ROLLUP = "logship_rollup"
_CREATE, _READ = ["create_doc", "auto_configure"], ["read", "view_index_metadata"]
_CREATES: Final = [{"names": [PATTERN], "privileges": _CREATE}]
_ALL: Final = [PATTERN, hours.PATTERN]

# The bodies of PUT _security/role/<name>.
ROLES: Final[dict[str, dict[str, Any]]] = {
    # Fluent Bit and `logship replay`: create, never read, change or delete. auto_configure makes the data stream.
    SHIPPER: {"indices": _CREATES},
    # Logstash's output sends nothing until it has read the version and the licence of the server (GET / and /_license).
    LOGSTASH: {"cluster": ["monitor"], "indices": _CREATES},
    # `logship search --source elastic` and people in Kibana.
    READER: {"indices": [{"names": _ALL, "privileges": _READ}]},
    # `logship rollup`: read everything, and create totals.
    ROLLUP: {
        "indices": [{"names": _ALL, "privileges": _READ}, {"names": [hours.PATTERN], "privileges": _CREATE}],
    },
    # `logship setup elastic`: templates, the mapping and the retention of streams that are there.
    SETUP: {
        "cluster": ["manage_index_templates", "monitor"],
        "indices": [{"names": _ALL, "privileges": ["manage", "view_index_metadata"]}],
    },
}
# Roles that few need: their users are not mentioned unless their passwords are set.
_OPTIONAL: Final = (LOGSTASH, ROLLUP)
# What a setup that also makes roles, users and keys needs beyond SETUP.
SETUP_OF_SECURITY: Final = "manage_security"
NO_SECURITY: Final = (400, 405)  # what servers answer whose security is off


@dataclass(frozen=True, slots=True)
class Step:
    """One request that set-up would make: `path` as people know it, and why."""

    change: Literal["create", "change", "keep"]
    path: str
    sentence: str
    do: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Rights:
    """Whether security is on, and whether the user may create roles and users."""

    security: bool
    makes_users: bool


def rights(client: Elasticsearch, settings: Settings) -> Rights:
    """Return what we may do; ElasticError that names what is missing, before anything is done."""
    wanted = ROLES[SETUP]
    try:
        with translated(settings, "reading its privileges"):
            told = client.security.has_privileges(
                cluster=[*wanted["cluster"], SETUP_OF_SECURITY], index=wanted["indices"]
            )
    except ElasticError as error:
        if error.status in NO_SECURITY:
            return Rights(security=False, makes_users=False)
        raise
    has = dict(told["cluster"])
    makes_users = has.pop(SETUP_OF_SECURITY)
    has.pop("monitor")  # only for the version, which set-up can do without
    missing = [name for name, held in has.items() if not held]
    missing += [f"{name} on {index}" for index, held in told["index"].items() for name, one in held.items() if not one]
    if missing:
        raise ElasticError(
            f"user {told['username']!r} lacks what set-up needs: {', '.join(sorted(missing))}. The role {SETUP} in "
            "pipelines/elasticsearch/roles.json has it"
        )
    return Rights(security=True, makes_users=makes_users)


def steps(client: Elasticsearch, settings: Settings, held: Rights, notes: list[str]) -> Iterator[Step]:
    """Roles and users to be made. A password cannot be compared, so a user whose password is given is always put."""
    wanted = {
        SHIPPER: settings.elastic_shipper_password,
        LOGSTASH: settings.elastic_logstash_password,
        READER: settings.elastic_reader_password,
        ROLLUP: settings.elastic_rollup_password,
    }
    if not held.security:
        notes.append("security is off: anyone who can reach this server can read, change and delete every event")
        if any(wanted.values()):
            raise ElasticError(
                "security is disabled on this server, so it has no users: unset their passwords, or enable security"
            )
        return
    for name, password in wanted.items():
        if not password and name in _OPTIONAL:
            continue
        if not password:
            setting = f"LOGSHIP_ELASTIC_{name.partition('_')[2].upper()}_PASSWORD"
            notes.append(f"the user {name} is not changed: to create it, or to change its password, set {setting}")
        elif not held.makes_users:
            raise ElasticError(f"creating the user {name} requires the cluster privilege {SETUP_OF_SECURITY}")
        else:
            yield from _rows(client, settings, name, password)


def _rows(client: Elasticsearch, settings: Settings, name: str, password: str) -> Iterator[Step]:
    with translated(settings, f"reading the role {name}"):
        there = _role(client, name)
    path, body = f"_security/role/{name}", ROLES[name]

    def role() -> object:
        return client.security.put_role(name=name, indices=body["indices"], cluster=body.get("cluster"))

    def user() -> object:
        return client.security.put_user(username=name, **user_body(name, password))

    if there is None:
        yield Step("create", path, "does not exist yet", role)
    elif there != {"cluster": body.get("cluster", []), "indices": body["indices"]}:
        yield Step("change", path, "allows something else", role)
    else:
        yield Step("keep", path, "is up to date", role)
    yield Step("change", f"_security/user/{name}", "gets the configured password", user)


def _role(client: Elasticsearch, name: str) -> dict[str, object] | None:
    """What a role of that name allows, None where there is none."""
    try:
        found = client.security.get_role(name=name)[name]
    except NotFoundError:
        return None
    indices = [{key: one[key] for key in ("names", "privileges")} for one in found["indices"]]
    return {"cluster": found.get("cluster", []), "indices": indices}


def make_api_key(client: Elasticsearch, settings: Settings, role: str, name: str) -> str:
    """Make an API key that may do what `role` may, and return it encoded: it is shown this once.

    For the reader, and for shippers other than Fluent Bit, whose loss-free output takes a user and password only."""
    with translated(settings, f"creating the API key {name}"):
        made: str = client.security.create_api_key(**api_key_body(name, role))["encoded"]
    return made


def api_key_body(name: str, role: str) -> dict[str, Any]:
    """The body of POST _security/api_key for a key that may do what `role` may and nothing else."""
    return {"name": name, "role_descriptors": {role: ROLES[role]}, "metadata": {"logship": TEMPLATE}}


def user_body(role: str, password: str) -> dict[str, Any]:
    """The body of PUT _security/user/<name> for a user with this one role."""
    return {"password": password, "roles": [role], "full_name": f"logship {role.partition('_')[2]}"}
