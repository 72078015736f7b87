"""The assignors that a member of the group may name, under their names in the settings."""

from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

ASSIGNORS = {
    "roundrobin": RoundRobinPartitionAssignor,
    "range": RangePartitionAssignor,
    "sticky": StickyPartitionAssignor,
}


def note_generation(generation: int) -> None:
    """Tell the sticky assignor the generation of this member's assignment. Call it after each.

    aiokafka does not (https://github.com/aio-libs/aiokafka/issues/1176). The group's leader could
    not tell the present assignment of a member from one before rebalances that the member missed.
    """
    StickyPartitionAssignor.on_generation_assignment(generation)
