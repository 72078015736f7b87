"""Weighted fair queueing between queues that share one server."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from worker.inference.fair_shares import FairShares

WEIGHTS = st.fixed_dictionaries(dict.fromkeys("abc", st.integers(1, 1000)))
COSTS = st.integers(1, 2000)


@given(
    weights=WEIGHTS,
    alone=st.lists(COSTS, max_size=30),
    costs=st.lists(st.tuples(COSTS, COSTS), min_size=1, max_size=100),
)
def test_queues_with_work_are_served_in_proportion_to_their_weights(
    weights: dict[str, int], alone: list[int], costs: list[tuple[int, int]]
) -> None:
    shares = FairShares(weights)
    for cost in alone:  # a time in which `a` was alone does not count
        assert shares.choose("a") == "a"
        shares.charge("a", cost)
    received, largest = Counter[str](), Counter[str]()
    if alone:
        largest["a"] = max(alone)
    for cost_a, cost_b in costs:
        queue = shares.choose(["a", "b"])
        assert queue is not None
        cost = cost_a if queue == "a" else cost_b
        shares.charge(queue, cost)
        received[queue] += cost
        largest[queue] = max(largest[queue], cost)
        # Goyal, Vin and Cheng, theorem 1: at most one piece of work of each.
        difference = abs(received["a"] / weights["a"] - received["b"] / weights["b"])
        assert difference <= sum(largest[each] / weights[each] for each in "ab") + 1e-6


@given(
    weights=WEIGHTS,
    steps=st.lists(st.tuples(st.sets(st.sampled_from("abc"), min_size=1), COSTS), max_size=200),
)
def test_work_conserving_and_without_starvation(
    weights: dict[str, int], steps: list[tuple[set[str], int]]
) -> None:
    shares = FairShares(weights)
    waited = Counter[str]()  # cost that others received while it had work
    for waiting, cost in steps:
        queue = shares.choose(sorted(waiting))
        assert queue in waiting
        shares.charge(queue, cost)
        for each in "abc":
            waited[each] = waited[each] + cost if each in waiting and each != queue else 0
            others = sum(weights[other] for other in "abc" if other != each)
            # Its own last piece of work, and one of each other queue.
            bound = 2000 * (others / weights[each] + 3)
            assert waited[each] <= bound
    assert shares.choose([]) is None


def test_a_queue_that_was_idle_is_next_and_is_owed_nothing() -> None:
    shares = FairShares({"interactive": 8, "batch": 1})
    order = []
    for step in range(130):
        queue = shares.choose(["batch"] if step < 100 else ["batch", "interactive"])
        assert queue is not None
        shares.charge(queue, 512)
        order.append(queue[0])
    assert "".join(order[100:]) == "iiiiiiii" + "biiiiiiii" * 2 + "biii"


def test_a_queue_without_a_weight_has_one() -> None:
    shares = FairShares({})
    order = []
    for _ in range(4):
        queue = shares.choose(["a", "b"])
        assert queue is not None
        shares.charge(queue, 10)
        order.append(queue)
    assert order == ["a", "b", "a", "b"]
