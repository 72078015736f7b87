"""An authority of the tests' own, and certificates by it, as PEM files: by `openssl`."""

import subprocess
from pathlib import Path

from tests.tools import tool

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2")
_LEAF = ("-addext", "basicConstraints=critical,CA:FALSE")


class Authority:
    """Its certificate is `certificate`; what it makes lies in `directory`."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._openssl = tool("openssl")
        self._directory = directory
        self.certificate = directory / f"{name}.pem"
        self._key = directory / f"{name}.key"
        self._make(name, self._key, self.certificate, "-noenc")

    def keystore(self, name: str, *, host: str = "", password: str = "") -> Path:
        """A file of a key, its certificate, and the authority's: as brokers and clients have it.

        `host` is an IP address that the certificate names.
        """
        key, certificate = (self._directory / f"{name}.{kind}" for kind in ("key", "crt"))
        self._make(
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

    def _make(self, name: str, key: Path, certificate: Path, *options: str) -> None:
        command = [self._openssl, "req", "-x509", *_CURVE, "-subj", f"/CN={name}", *options]
        command += ["-keyout", str(key), "-out", str(certificate)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
