"""What faults hit, and how they can end."""

from dataclasses import dataclass, field

from tests.faults.cluster import Cluster
from tests.faults.evidence import Deleted, Names
from tests.faults.workers import Worker

REACH_SECONDS = 20.0
"""For a new worker to start, join and reach its failpoint."""

DONE = "done"
NOT_REACHED = "not reached"
SURVIVED = "the node survived"


@dataclass(frozen=True, slots=True)
class World:
    """Targets of faults."""

    cluster: Cluster
    names: Names
    workers: list[Worker]
    """By slot, the guest last."""
    delivery: str
    deleted: Deleted = field(default_factory=Deleted)
