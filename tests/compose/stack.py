"""docker-compose.yml as docker compose would read it: YAML, anchors, merges, variables."""

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Comes with the frameworks that the tests serve; it has no types of its own.
yaml: Any = importlib.import_module("yaml")

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
TEXT = FILE.read_text(encoding="utf-8")
VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}")

Service = dict[str, Any]


def stack(values: Mapping[str, str]) -> dict[str, Any]:
    """The file with every variable filled in. KeyError for one that must be given and is not."""
    read = yaml.safe_load(TEXT)
    filled = _filled(read, values)
    assert isinstance(filled, dict)
    return filled


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(one, values) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, values) for one in value]
    if not isinstance(value, str):
        return value

    def variable(found: re.Match[str]) -> str:
        name, kind, text = found.groups()
        if name is None:
            return "$"
        if values.get(name):
            return values[name]
        if kind == "-":
            return text or ""
        raise KeyError(f"{name}: {text}")

    return VARIABLE.sub(variable, value)


def env_file(path: Path) -> dict[str, str]:
    """The variables of a file of NAME=value."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def environment(service: Service) -> dict[str, str]:
    """What a service has in its environment."""
    found: dict[str, str] = {}
    for name in service.get("env_file", ()):
        found |= env_file(ROOT / name)
    found |= service.get("environment", {})
    return found


STACK_FOR_TESTS = stack(dict.fromkeys(re.findall(r"\$\{(\w+):\?", TEXT), "x"))
