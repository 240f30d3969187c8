"""Print pip constraints for the oldest versions that pyproject.toml allows of what logship itself needs.

    python .ci/oldest.py > oldest.txt; PIP_CONSTRAINT=oldest.txt make env

The extra `dev` stays free: its packages are tools and servers that tests run, in any version that fits."""

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def main() -> None:
    groups = [PROJECT["dependencies"], *(names for extra, names in PROJECT["optional-dependencies"].items() if extra != "dev")]
    for requirement in (requirement for group in groups for requirement in group):
        lowest = re.match(r"([\w-]+)>=([\d.]+)", requirement)
        if lowest is not None:
            print(f"{lowest[1]}=={lowest[2]}")


if __name__ == "__main__":
    main()
