"""Certificates for tests of TLS, made by openssl."""

import shutil
import subprocess
from pathlib import Path

from tests import needs


def make(where: Path) -> tuple[str, str]:
    """Return the files of a certificate for localhost and of its key; the test is left without openssl."""
    if shutil.which("openssl") is None:
        needs.lacks("openssl", "openssl is not installed: no certificate to test TLS with")
    files = str(where / "cert.pem"), str(where / "key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    ends = ["-addext", "subjectAltName=DNS:localhost", "-out", files[0], "-keyout", files[1]]
    subprocess.run([*command.split(), *ends], check=True, capture_output=True)
    return files
