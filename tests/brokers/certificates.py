"""A certificate authority for tests. It creates certificates as PEM files with `openssl`."""

import subprocess
from pathlib import Path

from tests.tools import tool

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2")
_LEAF = ("-addext", "basicConstraints=critical,CA:FALSE")


class Authority:
    """A certificate authority. `certificate` is the path of its own certificate."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        """Creates the authority's key and certificate in `directory`."""
        self._openssl = tool("openssl")
        self._directory = directory
        self.certificate = directory / f"{name}.pem"
        self._key = directory / f"{name}.key"
        self._create(name, self._key, self.certificate, "-noenc")

    def keystore(self, name: str, *, host: str = "", password: str = "") -> Path:
        """Creates a file with a key, its certificate and the authority's; returns its path.

        `host` is an IP address for the certificate's subjectAltName. `password` encrypts the key.
        """
        key, certificate = (self._directory / f"{name}.{kind}" for kind in ("key", "crt"))
        self._create(
            name,
            key,
            certificate,
            *("-CA", str(self.certificate), "-CAkey", str(self._key), *_LEAF),
            *(("-passout", f"pass:{password}") if password else ("-noenc",)),
            *(("-addext", f"subjectAltName=IP:{host}") if host else ()),
        )
        store = self._directory / f"{name}.pem"
        store.write_bytes(b"".join(p.read_bytes() for p in (key, certificate, self.certificate)))
        return store

    def _create(self, name: str, key: Path, certificate: Path, *options: str) -> None:
        command = [self._openssl, "req", "-x509", *_CURVE, "-subj", f"/CN={name}", *options]
        command += ["-keyout", str(key), "-out", str(certificate)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
