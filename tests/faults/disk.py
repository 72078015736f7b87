"""A disk that is small enough to fill: a tmpfs, if this process may mount one."""

import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

_MIB = 1024 * 1024

SIZE_MIB = 256
"""Enough for the logs of a round; full within a second."""

# Unmounts when the process at the other end of its stdin has ended, also by SIGKILL.
_GUARD = 'cat; umount -l "$1" && rmdir "$1"'


class SmallDisk:
    """Mounted from construction to `remove`. Raises `OSError` if mounting is not permitted."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="qa-worker-disk-"))
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(self.path)]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            self.path.rmdir()
            raise PermissionError(f"no tmpfs can be mounted here: {error}") from None
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._filling = self.path / "filling"

    def fill(self) -> None:
        """Use every free byte."""
        with suppress(OSError), self._filling.open("wb", buffering=0) as filling:
            while True:
                filling.write(bytes(_MIB))
        with suppress(OSError), self._filling.open("ab", buffering=0) as filling:
            while True:
                filling.write(bytes(os.sysconf("SC_PAGESIZE")))

    def free(self) -> None:
        self._filling.unlink(missing_ok=True)

    def remove(self) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()
