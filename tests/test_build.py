"""Wheel and source distribution are complete: they are built, the wheel is installed into a new environment, and started."""

import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import tarfile
import time
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import logship

ROOT = Path(__file__).parents[1]
TIMEOUT_SECONDS = 120

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the source distribution, and the wheel built from it."""
    folder = tmp_path_factory.mktemp("dist")
    # hatchling comes with the extra `dev`: the build needs no package index.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` directory of a new environment with the wheel; dependencies come from the environment of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Behind its own packages, and without the .pth files in it, so that the checkout's editable install is not found.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel(dist))
    return folder / "bin"


def wheel(dist: Path) -> Path:
    (file,) = dist.glob("*.whl")
    return file


def run(*command: object, **variables: str) -> str:
    """Run a command outside the checkout and return its standard output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOGSHIP_", "PYTEST", "PYTHON"))}
    done = subprocess.run(
        [str(word) for word in command],
        env={**kept, **variables},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files_of(package: Path) -> set[str]:
    """Every file below `package` that git tracks, relative to the checkout."""
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files", package], capture_output=True, text=True, check=True)
    return set(tracked.stdout.split())


def test_the_wheel_has_every_file_of_the_package_and_the_kibana_objects(dist: Path) -> None:
    with zipfile.ZipFile(wheel(dist)) as archive:
        names = set(archive.namelist())
    assert files_of(ROOT / "logship") - names == set()
    assert {"logship/elastic/logship.ndjson", "logship/py.typed"} <= names
    assert {name.split("/")[0] for name in names} == {"logship", f"logship-{logship.__version__}.dist-info"}


def test_the_source_distribution_has_what_its_tests_read(dist: Path) -> None:
    (file,) = dist.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for part in ("logship", "kibana", "compose", "pipelines", "docs", "tests", "README.md", "CHANGELOG.md", "LICENSE"):
        assert files_of(ROOT / part) - names == set()


def test_the_installed_command_prints_its_version(installed: Path) -> None:
    assert logship.__version__ in run(installed / "logship", "--version")
    assert str(installed.parent) in run(installed / "python", "-c", "import logship; print(logship.__file__)")


@pytest.fixture
def collector(installed: Path, tmp_path: Path) -> Iterator[str]:
    """The address of the page of an installed `logship up`."""
    forward, http = free_port(), free_port()
    output = tmp_path / "output.txt"
    command = [str(installed / "logship"), "up", "--forward", f"127.0.0.1:{forward}", "--http", f"127.0.0.1:{http}"]
    with output.open("wb") as out:
        process = subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LOGSHIP_STATE_DIR": str(tmp_path / "state")},
            cwd=tmp_path,
            stdout=out,
            stderr=out,
        )
    try:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not listens(http):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{http}"
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_SECONDS) == 0, output.read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_installed_collector_serves_its_page_with_scripts_and_style(collector: str) -> None:
    page = fetched(f"{collector}/")
    parts = re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css)[^"]*)"', page)
    assert len(parts) >= 2
    for part in parts:
        assert fetched(collector + part)


def fetched(address: str) -> str:
    with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as response:
        return str(response.read().decode())


@pytest.mark.prove
@pytest.mark.timeout(600)
def test_the_wheel_installs_with_its_dependencies_from_the_index(dist: Path, tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    python = tmp_path / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"{wheel(dist)}[collector]"], check=True, timeout=500)
    assert logship.__version__ in run(tmp_path / "bin" / "logship", "--version")
