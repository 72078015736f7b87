"""Fair queueing between partitions."""

from hypothesis import given
from hypothesis import strategies as st

from worker.streaming.fair_queue import FairQueue

Item = tuple[int, int]  # its number within its key, and its cost

KEYS = "abc"
COSTS = st.integers(0, 20)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(KEYS), COSTS),  # append an item of this cost
        st.frozensets(st.sampled_from(KEYS)),  # take one, and refuse these keys
    ),
    max_size=200,
)


def queue(turn_cost: int = 0) -> FairQueue[str, Item]:
    items: FairQueue[str, Item] = FairQueue(lambda item: item[1])
    items.turn_cost = turn_cost
    return items


def take(items: FairQueue[str, Item], refused: frozenset[str] = frozenset()) -> tuple[str, Item]:
    key = items.choose(lambda each, _: each not in refused)
    assert key is not None
    return key, items.pop(key)


@given(steps=STEPS, turn_cost=st.integers(0, 50))
def test_items_keep_their_order_and_none_is_lost(
    steps: list[tuple[str, int] | frozenset[str]], turn_cost: int
) -> None:
    items, waiting = queue(turn_cost), {key: list[Item]() for key in KEYS}
    number = 0
    for step in steps:
        if isinstance(step, tuple):
            key, cost = step
            items.append(key, (number, cost))
            waiting[key].append((number, cost))
            number += 1
            continue
        admitted = [key for key in KEYS if waiting[key] and key not in step]
        chosen = items.choose(lambda each, _, refused=step: each not in refused)  # type: ignore[misc]
        # Work-conserving: one of those that are admitted, whatever the others have.
        assert (chosen in admitted) if admitted else (chosen is None)
        if chosen is not None:
            assert items.first(chosen) == waiting[chosen][0]
            assert items.pop(chosen) == waiting[chosen].pop(0)
        assert {key for key in KEYS if key in items} == {key for key in KEYS if waiting[key]}


@given(
    before=st.lists(COSTS, max_size=50),
    costs=st.lists(st.tuples(COSTS, COSTS), min_size=1, max_size=100),
    idle_costs=st.lists(COSTS, max_size=10),
    turn_cost=st.integers(0, 50),
)
def test_keys_with_items_receive_the_same_cost(
    before: list[int], costs: list[tuple[int, int]], idle_costs: list[int], turn_cost: int
) -> None:
    # `a` was alone for some time; `c` has a few items and then none. Neither matters.
    items = queue(turn_cost)
    for number, cost in enumerate(before):
        items.append("a", (number, cost))
        take(items)
    for number, (cost_a, cost_b) in enumerate(costs):
        items.append("a", (number, cost_a))
        items.append("b", (number, cost_b))
    for number, cost in enumerate(idle_costs):
        items.append("c", (number, cost))
    received = dict.fromkeys(KEYS, 0)
    largest = {"a": max(before + [cost for cost, _ in costs]), "b": max(c for _, c in costs)}
    while "a" in items and "b" in items:
        key, (_, cost) = take(items)
        received[key] += max(1, cost)
        difference = abs(received["a"] - received["b"])
        turns = [turn_cost + max(1, each) for each in largest.values()]
        assert difference <= sum(turns)


def test_a_key_that_comes_late_is_next_and_then_takes_turns() -> None:
    items = queue()
    for number in range(100):
        items.append("a", (number, 10))
    assert [take(items)[0] for _ in range(50)] == ["a"] * 50
    for number in range(3):
        items.append("b", (number, 10))
    assert [take(items)[0] for _ in range(6)] == ["b", "a", "b", "a", "b", "a"]


def test_a_turn_continues_until_its_cost_is_received() -> None:
    items = queue(turn_cost=30)
    for number in range(12):
        items.append("a", (number, 10))
        items.append("b", (number, 10))
    assert "".join(take(items)[0] for _ in range(9)) == "aaabbbaaa"
    items.append("c", (0, 10))
    assert "".join(take(items)[0] for _ in range(7)) == "cbbbaaa"


def test_a_key_whose_items_arrive_interrupts_a_turn_once() -> None:
    items = queue(turn_cost=30)
    for number in range(12):
        items.append("a", (number, 10))
        items.append("b", (number, 10))
    assert "".join(take(items)[0] for _ in range(7)) == "aaabbba"
    for number in range(6):
        items.append("c", (number, 10))
    assert "".join(take(items)[0] for _ in range(11)) == "cccaabbbaaa"


def test_a_refused_key_is_not_owed_what_others_received() -> None:
    items = queue()
    for number in range(100):
        items.append("a", (number, 10))
        items.append("b", (number, 10))
    refused = frozenset("b")
    assert [take(items, refused)[0] for _ in range(50)] == ["a"] * 50
    assert [take(items)[0] for _ in range(4)] == ["b", "a", "b", "a"]


def test_dropped_keys_leave_nothing_behind() -> None:
    items = queue()
    items.append("a", (0, 10))
    items.append("b", (0, 10))
    take(items)
    items.retain({"b"})
    assert "a" not in items
    assert len(items) == 1
    assert take(items)[0] == "b"
