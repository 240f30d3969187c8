"""A certificate for localhost."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests import needs


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The files of a self-signed certificate and its key."""
    if shutil.which("openssl") is None:
        needs.lacks("openssl", "openssl is not installed: no certificate to test TLS with")
    where: Path = tmp_path_factory.mktemp("tls")
    files = str(where / "cert.pem"), str(where / "key.pem")
    words = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    words += f" -addext subjectAltName=DNS:localhost -out {files[0]} -keyout {files[1]}"
    subprocess.run(["openssl", "req", *words.split()], check=True, capture_output=True)
    return files
