"""Random and mutated framed values, through what reads a worker's records.

`python -m tests.schema_registry.fuzz [--values 100000] [--seed 0]`

Each comes to an event, or to a typed rejection of its value; anything else is printed and ends with
1. Prints the slowest value and the peak of the memory. `python -m tests.schema_registry.bombs` has
the values and schemas that are made to take time and memory.
"""

import argparse
import asyncio
import faulthandler
import resource
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial

from rich.console import Console
from rich.table import Table

from schemas.question import Question
from schemas.rejection import Header, Reason, Rejected
from tests.schema_registry.random_values import RandomValues
from worker.cli.terminal import progress
from worker.kafka.records import InputRecord
from worker.schema_registry.decoding import RegisteredSchema, UnusableSchemaError
from worker.schema_registry.field_mapping import FieldMapping
from worker.schema_registry.framing import SchemaRef
from worker.schema_registry.record_values import DecodeFrame, RecordValueReader, compile_decoder
from worker.schema_registry.responses import UnknownSchemaError
from worker.schema_registry.schema_store import SchemaStore
from worker.streaming.codec import decode_record

MAX_BYTES = 100_000
EXPECTED = {
    Reason.NOT_AVRO,
    Reason.NOT_JSON,
    Reason.NOT_PROTOBUF,
    Reason.OPTION_OUT_OF_RANGE,
    Reason.RECORD_TOO_LARGE,
    Reason.SCHEMA,
    Reason.SCHEMA_UNKNOWN,
    Reason.SCHEMA_UNUSABLE,
}


@dataclass
class Fuzzed:
    """What the values came to."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = 0.0, ""
    """Seconds of the processor, and the value."""


class _Registry:
    def __init__(self, values: RandomValues) -> None:
        by_number: dict[SchemaRef, RegisteredSchema] = {
            each.number: each.registered for each in values.schemas
        }
        by_guid: dict[SchemaRef, RegisteredSchema] = {
            each.guid: each.registered for each in values.schemas
        }
        self._schemas = by_number | by_guid

    async def schema(self, ref: SchemaRef) -> RegisteredSchema:
        if ref not in self._schemas:
            raise UnknownSchemaError("Schema not found")
        return self._schemas[ref]


async def _no_pause(_seconds: float) -> None:
    pass


async def fuzz(count: int, *, seed: int) -> Fuzzed:
    """Read `count` values."""
    fuzzed = Fuzzed()
    values = RandomValues(seed)
    compile_schema = partial(compile_decoder, max_bytes=MAX_BYTES)
    store: SchemaStore[DecodeFrame] = SchemaStore(
        _Registry(values), compile_schema, sleep=_no_pause
    )
    with ThreadPoolExecutor(1) as decoders, progress() as bar:
        reader = RecordValueReader(store, FieldMapping({}), decoders)
        task = bar.add_task("reading", total=count, speed="")
        for schema in values.schemas:  # the values' times are those of decoding
            for ref in (schema.number, schema.guid):
                with suppress(UnusableSchemaError):
                    await store.get(ref)
        await _read(reader, 0, b"{}", [])
        for offset, (value, headers) in enumerate(values.values(count)):
            outcome, seconds = await _timed(reader, offset, value, headers)
            if seconds > fuzzed.slowest[0]:  # not a pause of the garbage collector
                seconds = min(seconds, (await _timed(reader, offset, value, headers))[1])
            bar.advance(task)
            fuzzed.outcomes[outcome.reason if isinstance(outcome, Rejected) else str(outcome)] += 1
            shown = f"{value[:60].hex()} ({len(value)} bytes), headers {headers}"
            if seconds > fuzzed.slowest[0]:
                fuzzed.slowest = seconds, shown
            if isinstance(outcome, Rejected):
                if outcome.reason not in EXPECTED:
                    fuzzed.faults.append(f"{outcome}: {shown}")
            elif isinstance(outcome, Exception):
                fuzzed.faults.append(f"{type(outcome).__name__}: {outcome}: {shown}")
    return fuzzed


async def _timed(
    reader: RecordValueReader, offset: int, value: bytes, headers: list[Header]
) -> tuple[str | Exception, float]:
    started = time.process_time()
    outcome = await _read(reader, offset, value, headers)
    return outcome, time.process_time() - started


async def _read(
    reader: RecordValueReader, offset: int, value: bytes, headers: list[Header]
) -> str | Exception:
    record = InputRecord("qa.questions", 0, offset, None, value, headers)
    try:
        read = await reader.read(record, nullcontext())
        decode_record(Question, read, max_bytes=MAX_BYTES)
    except Exception as error:  # what is not a rejection is the fault that is searched for
        return error
    return "an event"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--values", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    faulthandler.enable()  # a crash of a compiled decoder shows where
    started = time.perf_counter()
    fuzzed = asyncio.run(fuzz(arguments.values, seed=arguments.seed))
    table = Table(title=f"{fuzzed.outcomes.total():,} framed values, seed {arguments.seed}")
    table.add_column("came to")
    table.add_column("values", justify="right")
    for outcome, number in fuzzed.outcomes.most_common():
        table.add_row(outcome, f"{number:,}")
    table.add_row("wrong", f"{len(fuzzed.faults):,}")
    Console().print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{time.perf_counter() - started:.0f} s, peak memory {peak:.0f} MiB")
    print(f"slowest: {fuzzed.slowest[0] * 1000:.1f} ms, {fuzzed.slowest[1]}")
    for fault in fuzzed.faults[:20]:
        print(fault)
    if fuzzed.faults:
        sys.exit(1)


if __name__ == "__main__":
    main()
