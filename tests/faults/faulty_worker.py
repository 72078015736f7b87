"""`python -m tests.faults.faulty_worker`: `qa-worker run` with failpoints and sabotage.

Environment: `FAULTS_ENGINE` is `stub` or `model`; see failpoints.py and sabotage.py for the others.
"""

import os
import signal
import threading

from tests.faults import failpoints, sabotage
from tests.faults.stub import Stub
from worker.cli import main, run
from worker.settings.environment import load

ENGINE = "FAULTS_ENGINE"


def _open_stub(_: object) -> Stub:
    return Stub()


def _end_with_the_parent() -> None:
    """Stdin ends when the parent has ended, also by SIGKILL."""
    os.read(0, 1)  # sys.stdin has a lock that would block the interpreter's exit
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    if os.environ[ENGINE] == "stub":
        run.open_engine = _open_stub  # type: ignore[assignment]  # has what `run` uses
    failpoints.arm(load().qa.delivery)
    sabotage.install()
    main(["run"])
