"""Build hook: bundle the page's JavaScript modules into one file of the wheel.

    LOGSHIP_BUNDLE=1 python -m build

A browser then makes one request for scripts instead of one per module. It needs npm; the bundler and its version are in
tests/page/package.json. Without the variable the wheel has the modules only, and the page works the same."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC = "logship/page/static"


class BundleHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds bundle.js to the wheel if LOGSHIP_BUNDLE is 1."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if os.environ.get("LOGSHIP_BUNDLE") != "1" or version == "editable":
            return
        root = Path(self.root)
        target = root / "build" / "bundle.js"
        bundle(root, root / "build" / "js", target)
        build_data["force_include"][str(target)] = f"{STATIC}/bundle.js"


def bundle(root: Path, tools: Path, target: Path) -> None:
    """Write all modules below `root` as one file to `target`; `tools`: where npm installs the bundler."""
    tools.mkdir(parents=True, exist_ok=True)
    shutil.copy(root / "tests/page/package.json", tools)
    install = ["npm", "install", "--silent", "--no-package-lock", "--no-fund", "--no-audit", "--prefix", str(tools)]
    subprocess.run(install, check=True)
    options = ["--bundle", "--format=esm", "--minify", "--charset=utf8", "--target=es2022", "--log-level=warning"]
    esbuild = str(tools / "node_modules" / ".bin" / "esbuild")
    subprocess.run([esbuild, str(root / STATIC / "main.js"), *options, f"--outfile={target}"], check=True)
