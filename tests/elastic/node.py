"""A real Elasticsearch without Docker: fetched by Maven, unpacked once, started on a port of its own, killed at the end.

It is the project's own build for integration tests: the engine, security, data streams; no ingest processors, no
lifecycle, no REST for data streams, no `GET /`. Whatever needs those runs where LOGSHIP_TEST_ES_URL names a full server.
"""

import contextlib
import hashlib
import json
import os
import pwd
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# What tests run on, and what test_versions.py runs on as well. LOGSHIP_TEST_ES_VERSION chooses another for all of them.
VERSIONS = ("8.19.21", "9.2.0")
VERSION = os.environ.get("LOGSHIP_TEST_ES_VERSION") or VERSIONS[0]
ARTIFACT = "org.elasticsearch.distribution.integ-test-zip:elasticsearch:{}:zip"
JAVA_HOMES = Path("/usr/lib/jvm")
UNPRIVILEGED = "nobody"
START_SECONDS = 180.0
SHARD_SECONDS = 30.0
DOWNLOAD_SECONDS = 300.0

Answer = dict[str, Any]
_children: list[subprocess.Popen[bytes]] = []


class NotHere(Exception):
    """Why there can be no Elasticsearch on this machine, in one sentence."""


def cache() -> Path:
    """Where downloads stay; for root a directory that an unprivileged user can reach too."""
    if os.geteuid() == 0:
        return Path("/var/cache/logship-tests")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "logship-tests"


def java_home(version: str = VERSION) -> Path:
    """The home of the first Java that is new enough: named, on PATH, or beside others; NotHere without one."""
    named = [Path(one) for one in (os.environ.get("ES_JAVA_HOME"), os.environ.get("JAVA_HOME")) if one]
    on_path = shutil.which("java")
    found = [Path(on_path).resolve().parent.parent] if on_path else []
    beside = sorted(JAVA_HOMES.iterdir()) if JAVA_HOMES.is_dir() else []
    needed, there = 17 if version.startswith("8.") else 21, {}
    for one in (*named, *found, *beside):
        there[one] = _java_version(one)
        if there[one] >= needed:
            return one
    said = ", ".join(f"{number} in {one}" for one, number in there.items() if number) or "none"
    raise NotHere(f"Elasticsearch {version} needs Java {needed} or newer; found: {said}")


def _java_version(folder: Path) -> int:
    """Its major version; 0 where there is no Java."""
    java = folder / "bin/java"
    if not java.exists():
        return 0
    told = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', told)
    return int(version[1]) if version else 0


def home(version: str = VERSION) -> Path:
    """The unpacked distribution, downloaded at the first time; NotHere where that cannot be done."""
    unpacked = cache() / f"elasticsearch-{version}"
    if not unpacked.exists():
        try:
            cache().mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotHere(f"no Elasticsearch: {cache()} cannot be made ({error.strerror})") from error
        _unpack(_download(version), unpacked)
    return unpacked


def _download(version: str) -> Path:
    packed, artifact = cache() / f"elasticsearch-{version}.zip", ARTIFACT.format(version)
    if packed.exists():
        return packed
    maven = shutil.which("mvn")
    if maven is None:
        raise NotHere("mvn is not on PATH: Elasticsearch is fetched by Maven, or set LOGSHIP_TEST_ES_URL")
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        words = [maven, "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(words, capture_output=True, timeout=DOWNLOAD_SECONDS)
        fetched = list(Path(folder).glob("*.zip"))
        if not fetched:
            raise NotHere(f"Maven cannot fetch {artifact}: is there a network?")
        fetched[0].replace(packed)
    return packed


def _unpack(packed: Path, where: Path) -> None:
    """Another test run may do the same at the same time: the first rename wins."""
    folder = Path(tempfile.mkdtemp(dir=where.parent))
    folder.chmod(0o755)
    try:
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(folder)
            for one in archive.infolist():
                mode = one.external_attr >> 16  # zipfile drops the modes, and bin/ must be executable
                if mode:
                    (folder / one.filename).chmod(mode & 0o777)
        with contextlib.suppress(OSError):
            (folder / where.name).rename(where)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """Something that speaks Elasticsearch's HTTP, asked with nothing but the standard library."""

    def __init__(self, url: str, user: str = "", password: str = "", ca_file: str = "", api_key: str = "") -> None:
        self.url, self.user, self.password, self.ca_file, self.api_key = (
            url.rstrip("/"),
            user,
            password,
            ca_file,
            api_key,
        )

    def ask(
        self, method: str, path: str, body: object = None, who: tuple[str, str] | None = None
    ) -> tuple[int, Answer]:
        """One request; status and answer. `body`: text is sent as it is (bulk), anything else as JSON."""
        data = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        kind = "application/x-ndjson" if isinstance(body, str) else "application/json"
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={"content-type": kind})
        user, password = who or (self.user, self.password)
        if user:
            request.add_header("authorization", "Basic " + b64encode(f"{user}:{password}".encode()).decode())
        elif self.api_key:
            request.add_header("authorization", f"ApiKey {self.api_key}")
        trust = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        try:
            with urllib.request.urlopen(request, timeout=60, context=trust) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode(errors="replace")
            try:
                told = json.loads(text or "{}")
            except ValueError:
                told = {"text": text}
            return error.code, told if isinstance(told, dict) else {"text": text}

    def must(self, method: str, path: str, body: object = None) -> Answer:
        """The answer, AssertionError unless it is a good one. 503 is waited for: a new stream has no shard at first."""
        status, answer = self.ask(method, path, body)
        deadline = time.monotonic() + SHARD_SECONDS
        while status == 503 and time.monotonic() < deadline:
            time.sleep(0.1)
            status, answer = self.ask(method, path, body)
        assert status < 300, f"{method} {path}: {status} {json.dumps(answer)[:2000]}"
        return answer

    def create(self, stream: str, documents: Sequence[Mapping[str, object]], *, ids: bool = True) -> list[Answer]:
        """Create documents in one bulk, searchable when it returns; the answer for each, in order."""
        lines: list[str] = []
        for one in documents:
            action = {"_id": one["event.id"]} if ids and "event.id" in one else {}
            lines += [json.dumps({"create": action}), json.dumps(one)]
        answer = self.must("POST", f"/{stream}/_bulk?refresh=true&require_data_stream=true", "\n".join(lines) + "\n")
        return [item["create"] for item in answer["items"]]

    def count(self, stream: str, query: object = None) -> int:
        """How many documents can be found now."""
        self.ask("POST", f"/{stream}/_refresh")
        body = {"query": query} if query is not None else None
        return int(self.must("POST", f"/{stream}/_count?ignore_unavailable=true", body)["count"])

    def hits(self, stream: str, query: object = None) -> list[Answer]:
        """Every document, by time, paged: `_id`, `_source` and the rest."""
        found: list[Answer] = []
        self.ask("POST", f"/{stream}/_refresh")
        after: list[object] | None = None
        while True:
            body: Answer = {
                "size": 5000,
                "sort": [{"@timestamp": "asc"}, {"event.id": "asc"}],
                "track_total_hits": False,
            }
            body |= {"query": query} if query is not None else {}
            body |= {"search_after": after} if after is not None else {}
            page = self.must("POST", f"/{stream}/_search", body)["hits"]["hits"]
            found += page
            if len(page) < 5000:
                return found
            after = page[-1]["sort"]


class Node(Server):
    """One Elasticsearch of our own in a directory of its own. As root it runs as `nobody`: it refuses root.

    Pickled and read again it is the same node in another process, which may kill and start it as well."""

    def __init__(
        self,
        heap: str = "512m",
        settings: Mapping[str, object] | None = None,
        *,
        quick_start: bool = True,
        version: str = VERSION,
    ) -> None:
        super().__init__("")
        self.java, self.home, self._heap, self._scheme = java_home(version), home(version), heap, "http"
        self._quick_start = quick_start  # at the price of half the speed afterwards
        self.folder = Path(tempfile.mkdtemp(prefix="logship-es-"))
        self.folder.chmod(0o755)
        self.group = 0  # of its processes, 0 before the first start
        for name in ("logs", "tmp", "data"):
            (self.folder / name).mkdir()
        shutil.copytree(self.home / "config", self.folder / "config")
        self.settings: dict[str, object] = {
            "cluster.name": "logship-test",
            "node.name": "n1",
            "discovery.type": "single-node",
            "network.host": "127.0.0.1",
            "http.port": 0,
            "transport.port": 0,
            "node.portsfile": "true",  # the port is then read from a file: nobody races for a free one
            "path.data": self.folder / "data",
            "path.logs": self.folder / "logs",
            "xpack.security.enabled": "false",
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            **(settings or {}),
        }
        self._who: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam(UNPRIVILEGED)
            self._who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "ES_JAVA_HOME": str(self.java),
            "ES_PATH_CONF": str(self.folder / "config"),
            "ES_TMPDIR": str(self.folder / "tmp"),  # a directory above config/ is refused
            "ES_JAVA_OPTS": f"-Xms{self._heap} -Xmx{self._heap}"
            + (" -XX:TieredStopAtLevel=1 -XX:-AlwaysPreTouch" if self._quick_start else ""),
        }

    def secure(self, ca_file: str) -> None:
        """Speak TLS from the start on; `ca_file` vouches for it."""
        self._scheme, self.ca_file = "https", ca_file

    def add_user(self, name: str, password: str, role: str) -> None:
        """A user of the file realm; before the start. Its own tool would take a JVM for each."""
        salt = os.urandom(32)
        derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 10_000, 32)
        encoded = "$".join(b64encode(part).decode() for part in (salt, derived))
        self._append("users", f"{name}:{{PBKDF2}}10000${encoded}")
        self._append("users_roles", f"{role}:{name}")

    def add_roles(self, text: str) -> None:
        """Roles of the file realm, as YAML; before the start."""
        self._append("roles.yml", text)

    def _append(self, name: str, line: str) -> None:
        with open(self.folder / "config" / name, "a") as file:
            file.write(line + "\n")

    def start(self) -> None:
        """Start it, after a kill with the same data and port, and return when it answers."""
        lines = "".join(f"{name}: {value}\n" for name, value in self.settings.items())
        (self.folder / "config/elasticsearch.yml").write_text(lines)
        self._give_away()
        ports = self.folder / "logs/http.ports"
        ports.unlink(missing_ok=True)
        with open(self.folder / "out.log", "ab") as out:
            process = subprocess.Popen(
                [self.home / "bin/elasticsearch"],
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                **self._who,
            )
        _children.append(process)
        self.group = process.pid
        deadline = time.monotonic() + START_SECONDS
        while not (ports.exists() and ports.read_text().strip()):
            assert process.poll() is None, self.said()
            assert time.monotonic() < deadline, f"no port after {START_SECONDS:.0f} s: {self.said()}"
            time.sleep(0.05)
        port = int(ports.read_text().split("\n")[0].rsplit(":", 1)[1])
        self.settings["http.port"] = port
        self.url = f"{self._scheme}://localhost:{port}"
        self._wait(deadline)

    def _wait(self, deadline: float) -> None:
        while True:
            with contextlib.suppress(OSError):
                status, health = self.ask("GET", "/_cluster/health?wait_for_status=yellow&timeout=10s")
                if (status == 200 and health["status"] in {"green", "yellow"}) or status in {401, 403}:
                    return
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def said(self) -> str:
        """The end of its log."""
        return (self.folder / "out.log").read_text(errors="replace")[-4000:]

    def kill(self) -> None:
        """kill -9, launcher and server; returns when both are gone."""
        if not self.group:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)
        for child in _children:
            if child.pid == self.group:
                child.wait()
        deadline = time.monotonic() + 20
        while self.lives() and time.monotonic() < deadline:
            time.sleep(0.02)

    def lives(self) -> bool:
        """Whether any process of it is left."""
        return bool(self.group and _members(self.group))

    def _give_away(self) -> None:
        if self._who:
            for where, _, files in os.walk(self.folder):
                for name in (".", *files):
                    os.chown(os.path.join(where, name), self._who["user"], self._who["group"])

    def __enter__(self) -> "Node":
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _members(group: int) -> list[int]:
    """Processes of a group that still live."""
    told = subprocess.run(["ps", "-o", "pid=,stat=", "-g", str(group)], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in told.splitlines() if "Z" not in line.split()[1]]
