"""What Kibana demands of a rule of type `.es-query`, and how it stores it: from its API documentation, 8.17 to 9.x."""

import json
import re
import uuid
from typing import Any

Body = dict[str, Any]

CHANGED = {"name", "tags", "schedule", "params", "actions", "throttle", "notify_when", "alert_delay", "flapping"}
CREATED = CHANGED | {"rule_type_id", "consumer", "enabled"}
NEEDED = {"name", "schedule", "params"}
ACTION = {"group", "id", "params", "frequency", "uuid", "alerts_filter", "use_alert_data_for_template"}
DEFAULTS: Body = {"excludeHitsFromPreviousRun": True, "aggType": "count", "groupBy": "all", "searchType": "esQuery"}
PARAMS = {
    "size", "timeWindowSize", "timeWindowUnit", "excludeHitsFromPreviousRun", "threshold", "thresholdComparator", "aggType",
    "aggField", "groupBy", "termField", "termSize", "searchType", "timeField", "esQuery", "index", "sourceFields",
}  # fmt: skip
PARAMS_NEEDED = {"size", "timeWindowSize", "timeWindowUnit", "threshold", "thresholdComparator", "timeField", "esQuery", "index"}
MOST_GROUPS = 1000


def invalid(body: Body, new: bool) -> str:
    """Return what is wrong with the body of a POST (`new`) or a PUT, "" if nothing is."""
    allowed = CREATED if new else CHANGED
    wrong = [f"[request body.{name}]: definition for this key is missing" for name in sorted(body.keys() - allowed)]
    needed = NEEDED | ({"rule_type_id", "consumer"} if new else set())
    wrong += [f"[request body.{name}]: expected value" for name in sorted(needed - body.keys())]
    wrong += [f"[request body.actions]: {key}" for action in body.get("actions", []) for key in action.keys() - ACTION]
    if not wrong and not re.fullmatch(r"[1-9][0-9]*[smhd]", body["schedule"]["interval"]):
        wrong.append("[request body.schedule.interval]: string is not a valid duration")
    return (wrong or [_invalid_params(body["params"])])[0]


def _invalid_params(params: Body) -> str:
    wrong = [f"params invalid: [{name}]: definition for this key is missing" for name in sorted(params.keys() - PARAMS)]
    wrong += [f"params invalid: [{name}]: expected value" for name in sorted(PARAMS_NEEDED - params.keys())]
    if wrong:
        return wrong[0]
    known = DEFAULTS | params
    checks = {
        "[esQuery]: must contain query": bool(json.loads(known["esQuery"]).get("query")),
        "[index]": bool(known["index"]) and all(isinstance(name, str) for name in known["index"]),
        "[size]": 0 <= known["size"] <= 10_000,
        "[timeWindowSize]": known["timeWindowSize"] >= 1 and known["timeWindowUnit"] in {"s", "m", "h", "d"},
        "[thresholdComparator]": known["thresholdComparator"] in {">", ">=", "<", "<="},
        "[threshold]": len(known["threshold"]) == 1 and isinstance(known["threshold"][0], int | float),
        "[aggType]": known["aggType"] in {"count", "avg", "min", "max", "sum"},
        "[aggField]": known["aggType"] == "count" or bool(known.get("aggField")),
        "[groupBy]": known["groupBy"] in {"all", "top"},
        "[termField]": known["groupBy"] == "all" or bool(known.get("termField")),
        "[termSize]": known["groupBy"] == "all" or 1 <= known.get("termSize", 0) <= MOST_GROUPS,
    }
    return next((f"params invalid: {name}" for name, right in checks.items() if not right), "")


def stored(body: Body, name: str) -> Body:
    """Return a rule as a response has it, made of a valid body."""
    actions = [{"connector_type_id": ".server-log", "uuid": str(uuid.uuid4())} | action for action in body["actions"]]
    return body | {
        "id": name, "params": DEFAULTS | body["params"], "actions": actions, "api_key_owner": "elastic", "revision": 0,
        "created_at": "2026-11-29T05:00:00.000Z", "execution_status": {"status": "pending"}, "mute_all": False,
    }  # fmt: skip
