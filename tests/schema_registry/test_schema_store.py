"""Schemas are fetched once; what needs an unknown one waits for the registry."""

import asyncio
import threading
from typing import Any

import pytest

from tests.streaming.topics import until
from worker.schema_registry import schema_store
from worker.schema_registry.decoding import RegisteredSchema, UnusableSchemaError
from worker.schema_registry.framing import SchemaRef
from worker.schema_registry.responses import RegistryUnavailableError, UnknownSchemaError
from worker.schema_registry.schema_store import (
    CONFIRM_SECONDS,
    MAX_REQUESTS,
    PROBLEM_SECONDS,
    SchemaStore,
)


class FakeRegistry:
    """Answers in turn with what it is given; counts the requests."""

    def __init__(self, *answers: RegisteredSchema | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[SchemaRef] = []
        self.held = asyncio.Event()
        self.held.set()
        self.open = self.most_open = 0
        """Requests that are not answered, now and at most."""

    async def schema(self, ref: SchemaRef) -> RegisteredSchema:
        self.asked.append(ref)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await self.held.wait()
        self.open -= 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


SCHEMA = RegisteredSchema("AVRO", '"int"')


def compile_text(registered: RegisteredSchema) -> str:
    if registered.text == "bad":
        raise UnusableSchemaError("bad")
    return registered.text


def store(registry: FakeRegistry, clock: Clock) -> SchemaStore[str]:
    return SchemaStore(registry, compile_text, clock=clock, sleep=clock.sleep)


async def test_a_schema_is_fetched_once_for_all_that_wait() -> None:
    registry = FakeRegistry(SCHEMA)
    registry.held.clear()
    schemas = store(registry, Clock())
    waiting = [asyncio.create_task(schemas.get(1)) for _ in range(5)]
    await until(lambda: bool(registry.asked), "the registry is asked")
    waiting[0].cancel()
    registry.held.set()
    assert await asyncio.gather(*waiting[1:]) == ['"int"'] * 4
    assert await schemas.get(1) == schemas.known(1) == '"int"'
    assert registry.asked == [1]


async def test_few_schemas_are_asked_for_at_the_same_time() -> None:
    registry = FakeRegistry(*[SCHEMA] * 100)
    registry.held.clear()
    schemas = store(registry, Clock())
    waiting = [asyncio.create_task(schemas.get(ref)) for ref in range(100)]
    await until(lambda: registry.open >= MAX_REQUESTS, "the registry is asked")
    registry.held.set()
    assert await asyncio.gather(*waiting) == ['"int"'] * 100
    assert registry.most_open == MAX_REQUESTS


async def test_a_registry_that_is_away_is_waited_for() -> None:
    away = [RegistryUnavailableError(f"away {n}") for n in range(8)]
    registry, clock = FakeRegistry(*away, SCHEMA), Clock()
    reasons: list[str | None] = []

    async def sleep(seconds: float) -> None:
        reasons.append(schemas.unavailable)
        await clock.sleep(seconds)

    schemas = SchemaStore(registry, compile_text, clock=clock, sleep=sleep)
    assert await schemas.get(1) == '"int"'
    assert reasons == [f"away {n}" for n in range(8)]
    assert schemas.unavailable is None
    assert clock.slept == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0, 2.0]


async def test_one_asks_a_registry_that_is_away_and_all_once_it_answers() -> None:
    asked: list[SchemaRef] = []
    turns: list[asyncio.Event] = []
    back = False

    class Away:
        async def schema(self, ref: SchemaRef) -> RegisteredSchema:
            asked.append(ref)
            if not back or ref == 1:  # it fails on this schema in any case
                raise RegistryUnavailableError(f"away {ref}")
            return SCHEMA

    async def sleep(_: float) -> None:
        turns.append(asyncio.Event())
        await turns[-1].wait()

    schemas = SchemaStore(Away(), compile_text, sleep=sleep)
    waiting = [asyncio.create_task(schemas.get(ref)) for ref in (1, 2, 3, 4)]
    await until(lambda: len(asked) == 4, "each has asked once")
    for number in range(1, 5):
        await until(lambda n=number: len(turns) == n, "one has its turn")  # type: ignore[misc]
        assert len(asked) == 3 + number
        turns[-1].set()
    assert asked[4:] == [1, 2, 3]
    back = True
    assert await asyncio.gather(*waiting[1:]) == ['"int"'] * 3
    assert schemas.unavailable == "away 1"
    await schemas.close()


async def test_an_unknown_schema_is_confirmed_and_remembered_for_some_time() -> None:
    unknown = [UnknownSchemaError("no") for _ in range(4)]
    registry, clock = FakeRegistry(*unknown[:2], UnknownSchemaError("no"), SCHEMA), Clock()
    schemas = store(registry, clock)
    for _ in range(3):
        with pytest.raises(UnknownSchemaError):
            await schemas.get(9)
    assert clock.slept == [CONFIRM_SECONDS]
    assert len(registry.asked) == 2
    with pytest.raises(UnknownSchemaError):
        schemas.known(9)  # nothing waits for what is known
    clock.now += PROBLEM_SECONDS
    assert await schemas.get(9) == '"int"'
    assert len(registry.asked) == 4


async def test_a_schema_that_cannot_be_used_is_compiled_once() -> None:
    registry = FakeRegistry(RegisteredSchema("AVRO", "bad"))
    schemas = store(registry, Clock())
    for _ in range(2):
        with pytest.raises(UnusableSchemaError):
            await schemas.get(9)
    assert registry.asked == [9]


async def test_closing_ends_the_wait() -> None:
    registry = FakeRegistry(SCHEMA)
    registry.held.clear()
    schemas = store(registry, Clock())
    task = asyncio.create_task(schemas.get(1))
    await until(lambda: bool(registry.asked), "the registry is asked")
    await schemas.close()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_limited_number_and_size_of_schemas_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schema_store, "MAX_SCHEMAS", 3)
    monkeypatch.setattr(schema_store, "MAX_SCHEMAS_CHARACTERS", 99)
    large = RegisteredSchema("AVRO", "x" * 60, {"y": "y" * 30})
    registry = FakeRegistry(*[SCHEMA] * 4, large, SCHEMA)
    kept = store(registry, Clock())
    for number in (1, 2, 3, 4):
        await kept.get(number)
    assert [number for number in (1, 2, 3, 4) if kept.known(number)] == [2, 3, 4]
    await kept.get(5)
    assert [number for number in (2, 3, 4, 5) if kept.known(number)] == [4, 5]
    await kept.get(2)
    assert [number for number in (4, 5, 2) if kept.known(number)] == [5, 2]


async def test_a_limited_number_of_problems_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_store, "MAX_PROBLEMS", 2)
    unusable = RegisteredSchema("AVRO", "bad")
    registry = FakeRegistry(*[unusable] * 4)
    schemas = store(registry, Clock())
    for number in (1, 2, 3, 3, 2, 1):
        with pytest.raises(UnusableSchemaError):
            await schemas.get(number)
    assert registry.asked == [1, 2, 3, 1]


async def test_schemas_are_compiled_off_the_event_loop() -> None:
    threads: list[threading.Thread] = []

    def compile_schema(_: RegisteredSchema) -> str:
        threads.append(threading.current_thread())
        return "done"

    assert await SchemaStore(FakeRegistry(SCHEMA), compile_schema).get(1) == "done"
    assert threading.main_thread() not in threads


async def test_schemas_that_are_compiled_at_the_same_time_are_kept_within_the_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schema_store, "MAX_SCHEMAS_CHARACTERS", 99)

    async def at_once(compile_schema: Any, registered: RegisteredSchema) -> Any:
        return compile_schema(registered)

    monkeypatch.setattr(asyncio, "to_thread", at_once)
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, error: errors.append(error))
    large = RegisteredSchema("AVRO", "x" * 60)
    registry = FakeRegistry(large, large, large)
    registry.held.clear()
    kept = store(registry, Clock())
    fetching = [asyncio.create_task(kept.get(number)) for number in (1, 2, 3)]
    await until(lambda: len(registry.asked) == 3, "all are asked for")
    registry.held.set()
    assert await asyncio.gather(*fetching) == ["x" * 60] * 3
    assert [number for number in (1, 2, 3) if kept.known(number)] == [3]
    assert errors == []
