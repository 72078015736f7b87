"""A question from the console to its outcome: through the topics, like anybody's, and with what
this worker saw of its journey.
"""

import asyncio
import json
import time
import uuid
from typing import Any

from worker.client import QuestionClient, QuestionResult, RecordPosition
from worker.console.trace_collector import MARK, PendingQuestion, TraceCollector, batches, stages
from worker.settings import Settings

ANSWER_SECONDS = 30.0
"""As `qa-worker ask` waits."""

COMMIT_SECONDS = 2.0
"""For the journey's end after the answer was read, beyond the interval of commits: at least once,
answers are there before their commit."""

AT_ONCE = 4
"""Questions on their way, at most; each has connections of its own."""


class BusyError(Exception):
    """So many questions are on their way that there is no room for another."""


class Questions:
    """Those that are asked on the console."""

    def __init__(self, settings: Settings, following: TraceCollector) -> None:
        self._settings = settings
        self._following = following
        self._on_their_way = 0
        self._wait_for_commit = settings.qa.commit_interval_ms / 1000 + COMMIT_SECONDS

    async def ask(self, value: bytes) -> bytes:
        """Send this as a record's value; the JSON of what became of it. Nobody looks inside before
        the worker that takes it.

        Raises `BusyError`, `KafkaError`, and `TimeoutError` where nothing comes back.
        """
        if self._on_their_way == AT_ONCE:
            raise BusyError(f"{AT_ONCE} questions are on their way already")
        self._on_their_way += 1
        try:
            return await self._ask(value)
        finally:
            self._on_their_way -= 1

    async def _ask(self, value: bytes) -> bytes:
        mark = f"console-{uuid.uuid4()}".encode()
        async with QuestionClient(self._settings) as asker:
            with self._following.asking(mark) as asked:
                sent = time.time_ns()
                place = await asker.send(value, headers=[(MARK, mark)])
                outcome = await asker.outcome(place, seconds=ANSWER_SECONDS)
                took = (time.time_ns() - sent) / 1e6
                journey = await self._journey(asked, sent)
        return _report(place, outcome, took, asked.seen, journey)

    async def _journey(self, asked: PendingQuestion, sent: int) -> dict[str, Any] | None:
        """`None` where it did not come to its end here."""
        if not asked.seen:
            return None
        try:
            journey = await asyncio.wait_for(asked.trace, self._wait_for_commit)
        except TimeoutError:
            return None
        return {
            "stages": [stage._asdict() for stage in stages(journey, sent)],
            "batches": [batch._asdict() for batch in batches(journey, sent)],
            "dropped": asked.dropped,
        }


def _report(
    place: RecordPosition,
    outcome: QuestionResult,
    took: float,
    seen: bool,
    journey: dict[str, Any] | None,
) -> bytes:
    report = {
        "topic": place[0],
        "partition": place[1],
        "offset": place[2],
        "milliseconds": took,
        "seen": seen,
        "journey": journey,
    }
    if outcome.reason:
        rejected = {"reason": outcome.reason, "detail": outcome.detail}
        return json.dumps({**report, "rejected": rejected}).encode()
    # An answer is JSON already, and may be long: it is not read and written once more.
    head = json.dumps(report).encode()
    return head[:-1] + b', "outcome": ' + (outcome.value or b"null") + b"}"
