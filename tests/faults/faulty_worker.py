"""`python -m tests.faults.faulty_worker`: `qa-worker run` with failpoints and sabotage.

Environment: `FAULTS_ENGINE` is `stub` or `model`; see failpoints.py and sabotage.py for the others.
"""

import os

from tests.faults import failpoints, sabotage
from tests.faults.stub import Stub
from worker.cli import main, run
from worker.settings.environment import load

ENGINE = "FAULTS_ENGINE"


def _open_stub(_: object) -> Stub:
    return Stub()


if __name__ == "__main__":
    if os.environ[ENGINE] == "stub":
        run.open_engine = _open_stub  # type: ignore[assignment]  # has what `run` uses
    failpoints.arm(load().qa.delivery)
    sabotage.install()
    main(["run"])
