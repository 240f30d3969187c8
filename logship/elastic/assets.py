"""The files of `pipelines/elasticsearch/`: what `setup` would put, for those who put it themselves. Byte for byte the same
on every machine; `python -m logship.elastic.assets` writes them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from logship.elastic import access, mapping

DIRECTORY: Final = Path("pipelines/elasticsearch")


def files() -> dict[str, str]:
    """The text of every file by its name."""
    bodies = mapping.documents()
    named = {f"{path.rpartition('/')[2]}.json": body for path, body in bodies.items()}
    return {name: as_text(body) for name, body in {**named, "roles.json": access.ROLES}.items()}


def as_text(body: Mapping[str, object]) -> str:
    """JSON for people: in the order in which it was made, two spaces, a line end at the end."""
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def write(directory: Path = DIRECTORY) -> None:
    """Write every file."""
    for name, text in files().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
