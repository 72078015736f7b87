"""Decoders by the id of their schema: fetched once and kept, since an id never changes.

While the registry is away, what needs an unknown schema waits; what needs a known one does not.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

import structlog

from worker.observability import metrics
from worker.schema_registry.decoding import RegisteredSchema, UnusableSchemaError
from worker.schema_registry.framing import SchemaRef
from worker.schema_registry.responses import RegistryUnavailableError, UnknownSchemaError

D = TypeVar("D")

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.2, 2.0
"""Between two requests to a registry that does not answer; doubled each time."""

CONFIRM_SECONDS = 1.0
"""A schema that the registry does not have is asked for once more after this time: a follower of
the registry's leader may not have read it yet."""

PROBLEM_SECONDS = 30.0
"""For which a schema that is unknown, or cannot be used, is not asked for again."""

MAX_SCHEMAS, MAX_SCHEMAS_CHARACTERS = 1_000, 10_000_000
"""Schemas that are kept, and the length of their texts with those that they refer to; the oldest
gives way. A compiled Avro schema takes ten times its text, a Protobuf schema 50 kB at least."""

MAX_REQUESTS = 32
"""Schemas that are asked for at the same time. Values of a producer of something else may name a
different one each, and partitions wait side by side: a thousand of them for 64,000. The client's
connections are no more than 100, and the wait for one counts for the timeout of a request."""

MAX_PROBLEMS = 1_000
"""Ids of such schemas that are remembered: a producer can name 2^32 of them."""


class Registry(Protocol):
    """What the store asks of the client."""

    async def schema(self, ref: SchemaRef) -> RegisteredSchema: ...


class SchemaStore(Generic[D]):
    """Everything here runs on one event loop."""

    def __init__(
        self,
        registry: Registry,
        compile_schema: Callable[[RegisteredSchema], D],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`compile_schema` runs on another thread; it may raise `UnusableSchemaError`."""
        self._registry = registry
        self._compile = compile_schema
        self._clock = clock
        self._sleep = sleep
        self._known: dict[SchemaRef, D] = {}
        self._characters: dict[SchemaRef, int] = {}
        self._problems: dict[SchemaRef, tuple[float, Exception]] = {}
        self._fetching: dict[SchemaRef, asyncio.Task[D]] = {}
        self._pause = FIRST_PAUSE_SECONDS
        self._requests = asyncio.Semaphore(MAX_REQUESTS)
        self._turns = asyncio.Lock()
        self._some_answer = asyncio.Event()
        self._away: dict[SchemaRef, str] = {}
        """Schemas for which the registry did not answer, and why."""

    @property
    def unavailable(self) -> str | None:
        """Why the registry cannot be asked, while something waits for it."""
        return next(reversed(self._away.values()), None)

    def known(self, ref: SchemaRef) -> D | None:
        """The decoder, if it needs no request. Raises as `get` if that is known as well."""
        problem = self._problems.get(ref)
        if problem is not None and self._clock() < problem[0] + PROBLEM_SECONDS:
            raise problem[1].with_traceback(None)
        return self._known.get(ref)

    async def get(self, ref: SchemaRef) -> D:
        """The decoder of the schema's values. Waits for the registry without a deadline.

        Raises `UnknownSchemaError`, and `UnusableSchemaError`.
        """
        decoder = self.known(ref)
        if decoder is not None:
            return decoder
        task = self._fetching.get(ref)
        if task is None:
            task = asyncio.create_task(self._fetch(ref), name=f"schema {ref}")
            self._fetching[ref] = task
            task.add_done_callback(lambda done: self._fetched(ref, done))
        # One of several that wait may be cancelled.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Cancel the requests in progress."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _fetched(self, ref: SchemaRef, task: asyncio.Task[D]) -> None:
        del self._fetching[ref]
        if task.cancelled():
            return  # the worker ends
        error = task.exception()
        self._problems.pop(ref, None)
        if isinstance(error, (UnknownSchemaError, UnusableSchemaError)):
            if len(self._problems) >= MAX_PROBLEMS:
                del self._problems[next(iter(self._problems))]
            self._problems[ref] = self._clock(), error

    def _keep(self, ref: SchemaRef, decoder: D, characters: int) -> None:
        self._known[ref], self._characters[ref] = decoder, characters
        while (
            len(self._known) > MAX_SCHEMAS
            or sum(self._characters.values()) > MAX_SCHEMAS_CHARACTERS
        ):
            oldest = next(iter(self._known))
            del self._known[oldest], self._characters[oldest]

    def _not_answered(self, ref: SchemaRef, reason: str) -> None:
        if not self._away:
            log.warning("schema_registry_unavailable", schema=str(ref), reason=reason)
        self._away.pop(ref, None)  # the last reason counts
        self._away[ref] = reason
        metrics.SCHEMA_REGISTRY_UNAVAILABLE.set(1)

    def _answered(self, ref: SchemaRef) -> None:
        self._pause = FIRST_PAUSE_SECONDS
        self._some_answer.set()
        self._some_answer = asyncio.Event()
        if self._away.pop(ref, None) is not None and not self._away:
            log.info("schema_registry_available")
            metrics.SCHEMA_REGISTRY_UNAVAILABLE.set(0)

    async def _wait_for_turn(self) -> None:
        """Of all that wait for a registry that is away, one asks at a time, in turns: one of them
        may be what the registry fails on. Once it has answered one, all ask.
        """
        turn = asyncio.create_task(self._take_turn())
        some_answer = asyncio.create_task(self._some_answer.wait())
        try:
            await asyncio.wait([turn, some_answer], return_when=asyncio.FIRST_COMPLETED)
        finally:
            turn.cancel()
            some_answer.cancel()
            await asyncio.wait([turn, some_answer])

    async def _take_turn(self) -> None:
        async with self._turns:
            await self._sleep(self._pause)
            self._pause = min(2 * self._pause, MAX_PAUSE_SECONDS)

    async def _fetch(self, ref: SchemaRef) -> D:
        confirmed = False
        while True:
            try:
                async with self._requests:
                    registered = await self._registry.schema(ref)
            except RegistryUnavailableError as error:
                _count("unavailable")
                self._not_answered(ref, str(error))
                await self._wait_for_turn()
                continue
            except UnknownSchemaError:
                self._answered(ref)
                if confirmed:
                    _count("unknown")
                    raise
                confirmed = True
                await self._sleep(CONFIRM_SECONDS)
                continue
            except UnusableSchemaError:
                self._answered(ref)
                _count("unusable")
                raise
            self._answered(ref)
            try:
                decoder = await asyncio.to_thread(self._compile, registered)
            except UnusableSchemaError:
                _count("unusable")
                raise
            _count("found")
            self._keep(ref, decoder, registered.characters)
            return decoder


def _count(outcome: str) -> None:
    metrics.SCHEMA_REGISTRY_REQUESTS.labels(outcome).inc()
