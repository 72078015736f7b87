"""A disk small enough to be filled: a tmpfs, where this machine lets us mount one."""

import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

_MIB = 1024 * 1024

SIZE_MIB = 256
"""Room for the logs of a round, and filled in a blink."""

# Unmounts when the process that holds the other end of its stdin is gone, by SIGKILL too.
_GUARD = 'cat; umount -l "$1" && rmdir "$1"'


class SmallDisk:
    """Mounted from the start until `remove`. Raises `OSError` where that is not allowed."""

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
        """Not a byte is left."""
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
