"""`python -m tests.faults.faulty_worker`: `qa-worker run`, as it is, with faults built in.

What is built in is the environment's to say: `FAULTS_READER` is `stub` or `model`; the failpoints'
variables are in failpoints.py, `FAULTS_SABOTAGE` is in sabotage.py.
"""

import os
import signal
import threading

from tests.faults import failpoints, sabotage
from tests.faults.stub import Stub
from worker.cli import main, run
from worker.settings.environment import load

READER = "FAULTS_READER"


def _open_stub(_: object) -> Stub:
    return Stub()


def _end_with_the_parent() -> None:
    """Its end of our stdin closes, by SIGKILL too; nobody is left to read our answers then."""
    os.read(0, 1)  # not through sys.stdin, whose lock would stop the interpreter from ending
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    if os.environ[READER] == "stub":
        run.open_engine = _open_stub  # type: ignore[assignment]  # what _serve needs of a reader
    failpoints.arm(load().qa.delivery)
    sabotage.commit()
    main(["run"])
