"""`logship completion` prints the completion code of shells."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Logship, environment


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_prints_what_a_shell_reads(logship: Logship, shell: str) -> None:
    told = logship("completion", shell)
    assert told.returncode == 0
    assert "_LOGSHIP_COMPLETE" in told.stdout


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_is_told_commands_and_fields(tmp_path: Path) -> None:
    for words, found in (("logship wor", "workers"), ("logship top http.rou", "http.route")):
        more = {"_LOGSHIP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        told = subprocess.run([*COMMAND], env=environment(tmp_path, **more), capture_output=True, text=True, timeout=60)
        assert f"plain,{found}" in told.stdout, told.stderr
