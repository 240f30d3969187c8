"""Pipelines as `configure` makes them; scripts that run as processes."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from logship.worker.pipeline import Pipeline
from logship.worker.shipping.shipper import Shipper

ROOT = Path(__file__).parent.parent.parent


def log(pipeline: Pipeline, *texts: str, size_bytes: int = 0) -> None:
    for text in texts:
        assert pipeline.record({"message": text, "labels": {"filler": "x" * size_bytes}})


def the_shipper(pipeline: Pipeline) -> Shipper:
    assert isinstance(pipeline.shipper, Shipper)
    return pipeline.shipper


def run(script: str, tmp_path: Path, **more: Any) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOGSHIP_")}
    environment |= {
        "LOGSHIP_STATE_DIR": str(tmp_path / "state"),
        "PYTHONPATH": str(ROOT),
        **more.pop("environment", {}),
    }
    words = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(words, env=environment, check=True, timeout=60, **more)
