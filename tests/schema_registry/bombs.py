"""Schemas and values that are made to take time and memory, each in a process of its own.

`python -m tests.schema_registry.bombs [NAME ...]`

A worker's reader gets each from a registry over HTTP. Prints what it came to, the processor's time
and the memory that it took above the process at rest; ends with 1 if one is not rejected, or takes
more than 10 s or 400 MiB. Wide messages and long names are limited by QA_MAX_RECORD_BYTES, which is
its default of 1 MiB here.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.question import Question
from schemas.rejection import Rejected
from tests.schema_registry.registry_server import registry_server
from worker.kafka.records import InputRecord
from worker.schema_registry.framing import frame_prefix
from worker.schema_registry.opening import open_reader
from worker.settings.environment import load
from worker.streaming.codec import decode_record

MAX_SECONDS, MAX_MIB = 10.0, 400.0
_SCHEMA_ID = 1

Answers = dict[str, Any]
"""Path below the registry's URL to the document that it answers."""

Bomb = tuple[Answers, bytes]
"""And the record's value behind its prefix."""


def varint(number: int) -> bytes:
    """Unsigned."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def long(number: int) -> bytes:
    """Avro's, which is zigzag."""
    return varint((number << 1 ^ number >> 63) & (2**64 - 1))


def _avro(schema: Any, payload: bytes) -> Bomb:
    return {f"schemas/ids/{_SCHEMA_ID}": {"schema": json.dumps(schema)}}, payload


def _array(items: Any, payload: bytes) -> Bomb:
    return _avro({"type": "array", "items": items}, long(len(payload)) + payload + b"\0")


def _record(*fields: tuple[str, Any], name: str = "R") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields]}


def _proto(text: str, payload: bytes) -> Bomb:
    schema = {"schemaType": "PROTOBUF", "schema": f'syntax = "proto3"; {text}'}
    return {f"schemas/ids/{_SCHEMA_ID}": schema}, b"\0" + payload


def _doubled() -> Any:
    schema: Any = _record(name="R0")
    for level in range(1, 60):
        schema = _record(("a", schema), ("b", f"R{level - 1}"), name=f"R{level}")
    return schema


def _nested(count: int) -> bytes:
    payload = b""
    for _ in range(count):
        payload = b"\n" + varint(len(payload)) + payload
    return payload


def _cyclic(kind: str) -> Bomb:
    """Two schemas that refer to each other."""
    answers: Answers = {}
    for path, other in (("schemas/ids/1", "a"), ("subjects/a/versions/1?deleted=true", "b")):
        answers[path] = {
            "schemaType": kind,
            "schema": f'syntax = "proto3"; import "{other}";' if kind == "PROTOBUF" else '"a"',
            "references": [{"name": other, "subject": other, "version": 1}],
        }
    answers["subjects/b/versions/1?deleted=true"] = answers["schemas/ids/1"]
    return answers, b"\0"


def _referring(count: int, size: int) -> Bomb:
    """A schema that refers to many."""
    references = [{"name": f"s{n}", "subject": f"s{n}", "version": 1} for n in range(count)]
    schema = {"schema": '"int"', "references": references}
    other = {"schema": json.dumps({"type": "int", "doc": "x" * size})}
    return {
        "schemas/ids/1": schema,
        **{f"subjects/s{n}/versions/1?deleted=true": other for n in range(count)},
    }, b"\0"


MEGABYTE = 1_000_000
_LONG = "x" * 50_000
_WIDE = " ".join(f"string f{n} = {n + 1};" for n in range(3000))

BOMBS: dict[str, Callable[[], Bomb]] = {
    "Avro: a schema of 5 MB": lambda: _avro({"type": "int", "doc": "x" * 5_000_000}, b"\0"),
    "Avro: 1,000 references": lambda: _referring(1000, 10),
    "Avro: 90 references of 50 kB": lambda: _referring(90, 50_000),
    "Avro: references in a circle": lambda: _cyclic("AVRO"),
    "Avro: a schema nested 5,000 deep": lambda: (
        {"schemas/ids/1": {"schema": '{"type":"array","items":' * 5000 + '"int"' + "}" * 5000}},
        b"",
    ),
    "Avro: a value nested 900,000 deep": lambda: _avro(
        _record(("next", ["null", "R"])), b"\2" * 900_000 + b"\0"
    ),
    "Avro: a million items of a schema that contains itself": lambda: _avro(
        _record(("items", {"type": "array", "items": "R"})),
        long(900_000) + b"\0" * 900_000 + b"\0",
    ),
    "Avro: records of 2^60 records without fields": lambda: _avro(_doubled(), b""),
    "Avro: 2^60 nulls": lambda: _avro({"type": "array", "items": "null"}, long(2**60) + b"\0"),
    "Avro: a map of 2^60 entries": lambda: _avro(
        {"type": "map", "values": "int"}, long(2**60) + b"\0" * MEGABYTE
    ),
    "Avro: a text of 2^62 bytes": lambda: _avro("string", long(2**62)),
    "Avro: a million records of 1,000 nulls": lambda: _array(
        _record(("n", "int"), *((f"n{n}", "null") for n in range(1000))), b"\0" * MEGABYTE
    ),
    "Avro: a million enums of 50 kB": lambda: _array(
        {"type": "enum", "name": "E", "symbols": [_LONG]}, b"\0" * MEGABYTE
    ),
    "Avro: a million records with a name of 50 kB": lambda: _array(
        _record((_LONG, "int")), b"\0" * MEGABYTE
    ),
    "Avro: a million empty maps": lambda: _array(
        {"type": "map", "values": "int"}, b"\0" * MEGABYTE
    ),
    "Avro: a million timestamps": lambda: _array(
        {"type": "long", "logicalType": "timestamp-millis"}, b"\0" * MEGABYTE
    ),
    "Avro: a decimal of a megabyte": lambda: _avro(
        {"type": "bytes", "logicalType": "decimal", "precision": 10**9},
        long(MEGABYTE) + b"\x7f" * MEGABYTE,
    ),
    "Avro: 20,000 fields": lambda: _avro(
        _record(*((f"f{n}", "int") for n in range(20_000))), b"\0" * 20_000
    ),
    "Protobuf: imports in a circle": lambda: _cyclic("PROTOBUF"),
    "Protobuf: a text of 5 MB": lambda: _proto("//" + "x" * 5_000_000, b""),
    "Protobuf: a text of 100 kB, of semicolons": lambda: _proto(";" * 99_900, b""),
    "Protobuf: a text of 100 kB, of options": lambda: _proto(
        "message M { string a = 1 [" + ",".join(["(a)=1"] * 16_000) + "]; }", b"\0"
    ),
    "Protobuf: a text of 100 kB, of messages nested": lambda: _proto(
        "message M {" * 9_000 + "}" * 900, b""
    ),
    "Protobuf: 64,000 message indexes": lambda: (
        _proto("message M {}", b"")[0],
        varint(128_000) + b"\0" * 64_000,
    ),
    "Protobuf: half a million messages of 3,000 fields": lambda: _proto(
        f"message M {{ repeated W w = 1; }} message W {{ {_WIDE} }}", b"\n\0" * 500_000
    ),
    "Protobuf: a message nested 100,000 deep": lambda: _proto(
        "message M { M m = 1; }", b"\x0b" * 100_000
    ),
    "Protobuf: a message nested 5,000 deep": lambda: _proto(
        "message M { M m = 1; }", _nested(5000)
    ),
    "Protobuf: a million enums of 50 kB": lambda: _proto(
        f"message M {{ repeated E e = 1; }} enum E {{ {_LONG} = 0; }}",
        b"\n" + varint(MEGABYTE) + b"\0" * MEGABYTE,
    ),
    "Protobuf: messages with a name of 50 kB": lambda: _proto(
        f"message M {{ repeated N n = 1; }} message N {{ int32 {_LONG} = 1; }}",
        b"\n\2\x08\1" * 250_000,
    ),
    "Protobuf: half a million timestamps": lambda: _proto(
        'import "google/protobuf/timestamp.proto"; '
        "message M { repeated google.protobuf.Timestamp t = 1; }",
        b"\n\0" * 500_000,
    ),
    "Protobuf: a million numbers": lambda: _proto(
        "message M { repeated int64 n = 1; }", b"\n" + varint(MEGABYTE) + b"\0" * MEGABYTE
    ),
    "JSON: nested 500,000 deep": lambda: (
        {"schemas/ids/1": {"schemaType": "JSON", "schema": "{}"}},
        b"[" * 500_000,
    ),
}


async def explode(bomb: Bomb) -> Rejected | None:
    """The rejection of the record."""
    answers, payload = bomb
    async with registry_server() as registry:
        registry.answers |= {f"GET /{path}": (200, body) for path, body in answers.items()}
        settings = load({"SCHEMA_REGISTRY_URL": registry.url})
        value = frame_prefix(_SCHEMA_ID) + payload
        record = InputRecord("qa.questions", 0, 0, None, value, ())
        with ThreadPoolExecutor(1) as decoders:
            async with open_reader(settings, decoders) as reader:
                try:
                    read = await reader.read(record, _NoWait())
                    decode_record(Question, read, max_bytes=settings.qa.max_record_bytes)
                except Rejected as rejected:
                    return rejected
    return None


class _NoWait:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _measure(name: str) -> None:
    bomb = BOMBS[name]()
    before, started = _peak_mib(), time.process_time()
    rejected = asyncio.run(explode(bomb))
    print(
        json.dumps(
            {
                "reason": rejected and rejected.reason,
                "detail": rejected and rejected.detail,
                "seconds": time.process_time() - started,
                "mib": _peak_mib() - before,
                "bytes": len(bomb[1]),
            }
        )
    )


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(BOMBS), metavar="NAME")
    parser.add_argument("--here", action="store_true", help="measure in this process")
    arguments = parser.parse_args()
    if arguments.here:
        _measure(arguments.names[0])
        return
    table = Table(title="bombs")
    for column in ("", "bytes", "s", "MiB", "came to"):
        table.add_column(column, justify="right" if column in ("bytes", "s", "MiB") else "left")
    failed = False
    for name in arguments.names:
        command = [sys.executable, "-m", "tests.schema_registry.bombs", "--here", name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            failed = True
            table.add_row(name, "", "", "", f"[red]ended with {done.returncode}[/red]")
            print(done.stderr[-2000:], file=sys.stderr)
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        bad = not found["reason"] or found["seconds"] > MAX_SECONDS or found["mib"] > MAX_MIB
        failed = failed or bad
        outcome = f"{found['reason']}: {found['detail'][:70]}" if found["reason"] else "an event"
        table.add_row(
            name,
            f"{found['bytes']:,}",
            f"{found['seconds']:.2f}",
            f"{found['mib']:.0f}",
            f"[red]{outcome}[/red]" if bad else outcome,
        )
    Console(width=190).print(table)
    sys.exit(failed)


if __name__ == "__main__":
    main()
