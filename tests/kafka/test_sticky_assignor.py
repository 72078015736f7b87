"""aiokafka's sticky assignor, given anything that members can claim to have had."""

from collections import Counter

from aiokafka.coordinator.assignors.sticky.sticky_assignor import (
    StickyAssignorUserDataV1,
    StickyPartitionAssignor,
)
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

Claim = tuple[set[int], int]
"""Partitions that a member had, and in which generation."""

CLAIMS = st.lists(
    st.none() | st.tuples(st.sets(st.integers(0, 13)), st.integers(-1, 3)), min_size=1, max_size=5
)


class Cluster:
    """One topic, as much of aiokafka's `ClusterMetadata` as an assignor reads."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    def topics(self) -> set[str]:
        return {"q"}

    def partitions_for_topic(self, _: str) -> set[int]:
        return set(range(self._partitions))


def assign(partitions: int, claims: list[Claim | None]) -> list[set[int]]:
    members = {str(number): _metadata(claim) for number, claim in enumerate(claims)}
    assigned = StickyPartitionAssignor.assign(Cluster(partitions), members)
    return [
        {partition for _, each in assigned[member].assignment for partition in each}
        for member in members
    ]


def _metadata(claim: Claim | None) -> ConsumerProtocolMemberMetadata:
    data = b""
    if claim is not None:
        partitions, generation = claim
        data = StickyAssignorUserDataV1([("q", sorted(partitions))], generation).encode()
    return ConsumerProtocolMemberMetadata(0, ["q"], data)


@given(st.integers(1, 12), CLAIMS)
def test_each_partition_has_one_owner_and_none_has_two_more(
    partitions: int, claims: list[Claim | None]
) -> None:
    assigned = assign(partitions, claims)
    owners = Counter(partition for each in assigned for partition in each)
    assert owners == Counter(range(partitions))
    assert max(map(len, assigned)) - min(map(len, assigned)) <= 1


def test_a_joining_member_gets_partitions_and_no_other_moves() -> None:
    first, second, third = assign(6, [({0, 1, 2}, 4), ({3, 4, 5}, 4), None])
    assert first < {0, 1, 2}
    assert second < {3, 4, 5}
    assert len(third) == 2


def test_a_member_that_missed_rebalances_takes_nothing_back() -> None:
    first, second = assign(4, [({0, 1}, 4), ({2, 3}, 4)])
    assert (first, second) == ({0, 1}, {2, 3})
    present, returning = assign(4, [({0, 1}, 5), ({0, 1, 2, 3}, 4)])
    assert (present, returning) == ({0, 1}, {2, 3})
