# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of the lab's own, made with the openssl command.

Each node gets one EC P-256 certificate that serves both ways: as a server it is 127.0.0.1 and localhost, as
a client it is spiffe://<domain>/site/<name>, and that URI is all that a parent believes about it.
"""

import os
import subprocess
from pathlib import Path


def _openssl(*args: str, env: dict = None) -> None:
    done = subprocess.run(["openssl", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={**os.environ, **(env or {})})
    if done.returncode != 0:
        raise RuntimeError(f"openssl {args[0]} failed: {done.stderr.strip()}")


class Certificate:
    def __init__(self, ca_file: Path, cert_file: Path, key_file: Path):
        self.ca_file, self.cert_file, self.key_file = ca_file, cert_file, key_file


class Authority:
    """days: how long certificates are valid, from now on, or from what env makes openssl take for now."""

    def __init__(self, folder: Path, domain: str = "lab.example", days: int = 30, env: dict = None):
        self.folder = Path(folder)
        self._days, self._env = str(days), env
        self.addresses = []  # more that servers have
        self.domain = domain
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = self.folder / "ca.crt"
        self._ca_key = self.folder / "ca.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
                 "-days", self._days, "-subj", "/CN=tombolo lab CA",
                 "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                 "-keyout", str(self._ca_key), "-out", str(self.ca_file), env=env)

    def issue(self, name: str, uri: str = "") -> Certificate:
        """A certificate for node name. uri: another identity than the name's own, for tests that lie."""
        uri = uri or f"spiffe://{self.domain}/site/{name}"
        cert, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(
            "basicConstraints=critical,CA:FALSE\n"
            "keyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=serverAuth,clientAuth\n"
            f"subjectAltName=URI:{uri},IP:127.0.0.1,DNS:localhost"
            f"{''.join(f',IP:{address}' for address in self.addresses)}\n", encoding="utf-8")
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
                 "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
        _openssl("x509", "-req", "-in", str(request), "-CA", str(self.ca_file), "-CAkey",
                 str(self._ca_key), "-CAcreateserial", "-days", self._days, "-extfile", str(extensions),
                 "-out", str(cert), env=self._env)
        return Certificate(self.ca_file, cert, key)
