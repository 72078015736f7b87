"""What a thread of the engine does next when several queues have work."""

from collections import Counter, deque

from hypothesis import given
from hypothesis import strategies as st

from worker.inference.batching import Batch, Batcher
from worker.inference.work_queues import WorkQueues

Work = tuple[str, str | Batch[str]]

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("ab"), st.integers(0, 2000)),  # a job of this many tokens
        st.none(),  # take
    ),
    max_size=80,
)


def queues(weights: dict[str, int], *, max_tokens: int = 512) -> WorkQueues[str, str]:
    def batcher() -> Batcher[str]:
        return Batcher(max_tokens=max_tokens, max_padding=0.02)

    return WorkQueues(batcher, weights)


@given(steps=STEPS, weight=st.integers(1, 1000))
def test_none_is_lost_and_a_queue_keeps_its_order(
    steps: list[tuple[str, int] | None], weight: int
) -> None:
    work = queues({"a": weight, "b": 1})
    jobs = {name: deque[str]() for name in "ab"}
    windows = {name: deque[str]() for name in "ab"}

    def take() -> bool:
        taken = work.take(0.0)
        if taken is None:
            assert not any((*jobs.values(), *windows.values()))
            return False
        queue, found = taken
        if isinstance(found, Batch):
            # What is not preprocessed comes first; the batch has the oldest window of one queue.
            assert not jobs[queue]
            assert windows[queue][0] in found.items
            for each in found.items:
                windows[queue].remove(each)
        else:
            assert found == jobs[queue].popleft()
            windows[queue].append(found)
            work.add_window(queue, found, 100, 0.0)
        return True

    for number, step in enumerate(steps):
        if step is None:
            take()
        else:
            queue, tokens = step
            jobs[queue].append(f"{queue}{number}")
            work.add_job(queue, f"{queue}{number}", tokens)
    while take():
        pass


def test_batches_of_two_backlogs_share_tokens_by_weight() -> None:
    work, tokens = queues({"interactive": 8, "batch": 1}), Counter[str]()
    for number in range(4000):
        work.add_window("interactive", f"i{number}", 64, 0.0)
        work.add_window("batch", f"b{number}", 180, 0.0)
    for _ in range(180):
        taken = work.take(0.0)
        assert taken is not None
        queue, batch = taken
        assert isinstance(batch, Batch)
        assert len({item[0] for item in batch.items}) == 1
        tokens[queue] += batch.padded_tokens
    assert abs(tokens["interactive"] / tokens.total() - 8 / 9) < 0.01


def test_preprocessing_of_a_flood_delays_no_other_queue() -> None:
    work = queues({"interactive": 8, "batch": 1})
    for number in range(500):
        work.add_job("batch", f"b{number}", 200)
    assert [work.take(0.0) for _ in range(3)] == [("batch", f"b{n}") for n in range(3)]
    work.add_job("interactive", "i0", 20)
    assert work.take(0.0) == ("interactive", "i0")
    work.add_window("interactive", "i0", 20, 0.0)
    taken = []
    for _ in range(2):
        found = work.take(0.0)
        assert found is not None
        taken.append(found[0])
    assert "interactive" in taken


def test_events_that_are_rejected_before_they_run_starve_no_queue() -> None:
    """Their preprocessing costs: 500 tokens of it as much as 5 tokens of the model."""
    work = queues({"batch": 1, "interactive": 1})
    for number in range(10):
        work.add_window("interactive", f"i{number}", 512, 0.0)
    order = []
    for number in range(1500):
        work.add_job("batch", f"b{number}", 500)
        taken = work.take(0.0)
        assert taken is not None
        order.append(taken[0])
    assert order.count("interactive") == 10
