"""`python -m tests.schema_registry.stub_worker`: `qa-worker run` with a stub in place of the model,
so that what an outage leaves behind is worked off at once on any machine.
"""

from tests.faults.stub import Stub
from worker.cli import main, run


def _open_stub(_: object) -> Stub:
    return Stub()


if __name__ == "__main__":
    run.open_engine = _open_stub  # type: ignore[assignment]  # has what `run` uses
    main(["run"])
