"""What the pipeline was asked and what it gave: values, and their JSON, one line a question.

A file of them is written once, with torch, and compared with as often as one likes, without.
Knows the format; running the pipeline is `reference_pipeline`'s work.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ResultsError(Exception):
    """This file of results cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How the pipeline is asked to pick spans, in the names of its own parameters."""

    name: str
    top_k: int = 1
    max_answer_len: int = 15
    handle_impossible_answer: bool = False
    align_to_words: bool = True

    def parameters(self) -> dict[str, Any]:
        """What `postprocess` takes."""
        parameters = asdict(self)
        del parameters["name"]
        return parameters


@dataclass(frozen=True, slots=True)
class Found:
    """A span as the pipeline gives it. Its scores may exceed 1, so it is no `Span` of ours."""

    answer: str
    score: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ReadWindow:
    """A window as the model saw it: ids int32 and logits float32, (length,) each."""

    ids: NDArray[np.int32]
    start: NDArray[np.float32]
    end: NDArray[np.float32]


Outcome = tuple[Found, ...] | None
"""Spans, best first; `None` where the question was refused: by an exception, or our rejection."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One question read by the pipeline: its windows, and what it gave for each setting's name."""

    id: str
    windows: tuple[ReadWindow, ...]
    found: dict[str, Outcome]


@dataclass(frozen=True, slots=True)
class Origin:
    """What made a file of results. Files of different origins must not be mixed."""

    transformers: str
    weights_sha256: str
    max_seq_len: int
    doc_stride: int
    settings: tuple[Setting, ...]


def origin_line(origin: Origin) -> str:
    return json.dumps(asdict(origin)) + "\n"


def reading_line(reading: Reading) -> str:
    record = {
        "id": reading.id,
        "windows": [pack_window(window) for window in reading.windows],
        "found": pack_found(reading.found),
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


def pack_window(window: ReadWindow) -> list[str]:
    """Base64 of the little-endian arrays: exact, and a third of the digits' size."""
    return [_pack(window.ids), _pack(window.start), _pack(window.end)]


def pack_found(found: Mapping[str, Outcome]) -> dict[str, Any]:
    return {
        name: None if outcome is None else [asdict(span) for span in outcome]
        for name, outcome in found.items()
    }


def read_origin(path: Path) -> Origin:
    """The file's first line. Raises `ResultsError`, `OSError`."""
    with path.open(encoding="utf-8") as file:
        try:
            return unpack_origin(json.loads(file.readline()))
        except (ValueError, TypeError, KeyError) as error:
            raise ResultsError(f"{path}: not a file of reference results: {error}") from None


def readings(path: Path) -> Iterator[Reading]:
    """All questions of the file, in its order. Raises `ResultsError`, `OSError`."""
    with path.open(encoding="utf-8") as file:
        file.readline()
        for number, line in enumerate(file, start=2):
            try:
                yield _reading(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise ResultsError(f"{path}, line {number}: {error}") from None


def drop_torn_line(path: Path) -> None:
    """Cut off a last line without its end: what a run that was killed left behind."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)


def unpack_origin(record: dict[str, Any]) -> Origin:
    settings = tuple(Setting(**setting) for setting in record["settings"])
    return Origin(**{**record, "settings": settings})


def unpack_window(packed: list[str]) -> ReadWindow:
    ids, start, end = packed
    return ReadWindow(
        ids=_unpack(ids, np.dtype("<i4")),
        start=_unpack(start, np.dtype("<f4")),
        end=_unpack(end, np.dtype("<f4")),
    )


def unpack_found(record: Mapping[str, Any]) -> dict[str, Outcome]:
    return {
        name: None if outcome is None else tuple(Found(**span) for span in outcome)
        for name, outcome in record.items()
    }


def _reading(record: dict[str, Any]) -> Reading:
    return Reading(
        id=record["id"],
        windows=tuple(map(unpack_window, record["windows"])),
        found=unpack_found(record["found"]),
    )


def _pack(values: NDArray[Any]) -> str:
    return base64.b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode()


def _unpack(text: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(text), dtype=dtype)
