"""Measures how a worker works off a backlog most of which has expired, and kills it meanwhile.

`python -m tests.bench.deadlines SQUAD.json [--questions 2000] [--expired 1500] [--kills 5]`

The first runs are the same backlog with each value of QA_EXPIRED; its oldest questions have
expired. "Time" is from the worker's assignment to the commit of the last offset. In the runs with
kills the expired questions lie anywhere, and half of the others expire while the backlog is worked
off, so that a question which is read again may get another verdict. SIGKILL hits the worker
whenever the next share of the backlog is committed; every question must have one outcome.
"""

import argparse
import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.dead_letter import parse_dead_letter_headers
from tests.bench.process import cpu_seconds
from tests.bench.topics import BenchTopics
from tests.brokers.apache import ApacheKafka
from tests.streaming.worker_process import WorkerProcess
from worker.cli.terminal import progress
from worker.model_tools.evaluation.squad import load_squad
from worker.observability import logging_setup

PARTITIONS = 4
HOUR = 3600.0
SOON_SECONDS = 20.0
"""In the runs with kills half of the live questions expire within this time of their sending."""

_Outcomes = dict[tuple[int, int], list[str]]
"""Partition and offset of a question to its outcomes: `answered`, or the reason of a dead letter.
"""


@dataclass(frozen=True)
class Run:
    """One line of the table."""

    name: str
    expired: str
    kills: int
    seconds: float
    cpu_seconds: float
    """Of all workers, the load of the model included."""
    deadlines: dict[tuple[int, int], datetime]
    """Of the question at each partition and offset."""
    outcomes: _Outcomes

    @property
    def counts(self) -> Counter[str]:
        """By outcome."""
        return Counter(outcome for each in self.outcomes.values() for outcome in each)

    @property
    def dropped(self) -> int:
        """Questions without an outcome whose deadline has passed."""
        return len(self._without_outcome) - self.lost

    @property
    def lost(self) -> int:
        """Questions without an outcome that have time left, or are not dropped by the setting."""
        now = datetime.now(UTC)
        return sum(
            self.expired != "drop" or self.deadlines[each] > now for each in self._without_outcome
        )

    @property
    def with_several(self) -> int:
        """Questions with more than one outcome."""
        return sum(len(each) > 1 for each in self.outcomes.values())

    @property
    def _without_outcome(self) -> set[tuple[int, int]]:
        return self.deadlines.keys() - self.outcomes.keys()


async def measure(
    servers: str, name: str, events: Sequence[dict[str, Any]], expired: str, kills: int
) -> Run:
    """Send the events to new topics and work them off. `expired` is QA_EXPIRED."""
    environment = {"QA_EXPIRED": expired, "KAFKA_SESSION_TIMEOUT_MS": "1500"}
    async with BenchTopics(servers, environment, partitions=PARTITIONS) as topics:
        await topics.create()
        sent = await topics.send([json.dumps(each).encode() for each in events], key=None)
        ends = await topics.ends()
        began, cpu = float("inf"), 0.0
        for kill in range(1, kills + 2):
            async with WorkerProcess(topics.environment, forked=False) as worker:
                began = min(began, time.monotonic())
                await _committed(topics, sum(ends.values()) * kill // (kills + 1))
                cpu += cpu_seconds(worker.process.pid)
                worker.kill()
        seconds = time.monotonic() - began
        assert await topics.committed() == ends, "every question was read"
        outcomes = _outcomes(await topics.answers(), await topics.dead_letters())
        deadlines = {
            (at.partition, at.offset): datetime.fromisoformat(each["expires_at"])
            for at, each in zip(sent, events, strict=True)
        }
        return Run(name, expired, kills, seconds, cpu, deadlines, outcomes)


async def _committed(topics: BenchTopics, count: int) -> None:
    """Wait until the group's offsets of all partitions together are at least `count`."""
    # Nothing tells a client of another member's commit.
    while sum(offset or 0 for offset in (await topics.committed()).values()) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


def _outcomes(answers: Iterable[Any], dead_letters: Iterable[Any]) -> _Outcomes:
    found: _Outcomes = {}
    for record in answers:
        source = json.loads(record.value)["source"]
        found.setdefault((source["partition"], source["offset"]), []).append("answered")
    for record in dead_letters:
        parsed = parse_dead_letter_headers(record.headers)
        assert parsed.event is not None
        found.setdefault(parsed.event[1:], []).append(parsed.reason)
    return found


def _expiring(events: Sequence[dict[str, Any]], expired: Sequence[float]) -> list[dict[str, Any]]:
    """The events, each with a deadline that many seconds from now."""
    now = time.time()
    return [
        {**each, "expires_at": datetime.fromtimestamp(now + seconds, UTC).isoformat()}
        for each, seconds in zip(events, expired, strict=True)
    ]


async def run(events: list[dict[str, Any]], expired: int, kills: int) -> list[Run]:
    live = len(events) - expired
    backlog = [-HOUR] * expired + [HOUR] * live
    randomness = random.Random(14)
    mixed = [-HOUR] * expired + [HOUR] * (live - live // 2)
    mixed += [randomness.uniform(0, SOON_SECONDS) for _ in range(live // 2)]
    randomness.shuffle(mixed)
    plan = [("backlog", backlog, mode, 0) for mode in ("answer", "dead_letter", "drop")]
    plan += [("killed", mixed, mode, kills) for mode in ("dead_letter", "drop")]
    runs = []
    with ApacheKafka() as kafka, progress() as bar:
        task = bar.add_task("runs", total=len(plan), speed="")
        for name, deadlines, mode, times in plan:
            sent = _expiring(events, deadlines)
            runs.append(await measure(kafka.bootstrap_servers, name, sent, mode, times))
            bar.advance(task)
    return runs


def print_table(runs: Sequence[Run]) -> None:
    questions = len(runs[0].deadlines)
    table = Table(title=f"{questions} questions, {PARTITIONS} partitions, exactly once")
    columns = ("Run", "QA_EXPIRED", "Kills", "Time, s", "CPU, s", "Answered", "Dead letters")
    for column in (*columns, "Dropped", "Lost", "More than one"):
        table.add_column(column)
    for each in runs:
        counts = each.counts
        answered = counts.pop("answered", 0)
        dead = ", ".join(f"{count} {reason}" for reason, count in counts.items())
        table.add_row(
            each.name,
            each.expired,
            str(each.kills),
            f"{each.seconds:.1f}",
            f"{each.cpu_seconds:.1f}",
            str(answered),
            dead or "0",
            str(each.dropped),
            str(each.lost),
            str(each.with_several),
        )
    Console(width=140).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("squad", type=Path)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--expired", type=int, default=1500)
    parser.add_argument("--kills", type=int, default=5)
    arguments = parser.parse_args()
    logging_setup.configure("error", "console")
    examples = load_squad(arguments.squad)[: arguments.questions]
    events = [{"id": e.id, "question": e.question, "context": e.context} for e in examples]
    print_table(asyncio.run(run(events, arguments.expired, arguments.kills)))


if __name__ == "__main__":
    os.environ.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    main()
