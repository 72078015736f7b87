"""Settings and results of the pipeline, and their files: JSON, one line for each question.

Writing a file needs torch (`pipeline.py`); reading it does not.
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
    """A file of results cannot be used. The message has the reason."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Parameters with which the pipeline selects spans, under the pipeline's names."""

    name: str
    top_k: int = 1
    max_answer_len: int = 15
    handle_impossible_answer: bool = False
    align_to_words: bool = True

    def parameters(self) -> dict[str, Any]:
        """Returns the arguments of the pipeline's `postprocess`."""
        parameters = asdict(self)
        del parameters["name"]
        return parameters


@dataclass(frozen=True, slots=True)
class AnswerSpan:
    """A span of the pipeline or of the worker. Offsets are in code points.

    `schemas.answer.Span` does not fit: the pipeline's scores can exceed 1.
    """

    answer: str
    score: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class WindowWithLogits:
    """The token ids (int32) of a window and its logits (float32), (length,) each."""

    ids: NDArray[np.int32]
    start: NDArray[np.float32]
    end: NDArray[np.float32]


Outcome = tuple[AnswerSpan, ...] | None
"""Spans, best first; `None` if the pipeline raised an exception or the worker rejected."""


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """The pipeline's windows and outcomes for one question."""

    id: str
    windows: tuple[WindowWithLogits, ...]
    outcomes: dict[str, Outcome]
    """By name of the setting."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Versions and settings that results depend on. A file has results of one origin only."""

    transformers: str
    weights_sha256: str
    max_seq_len: int
    doc_stride: int
    settings: tuple[Setting, ...]


def origin_line(origin: Origin) -> str:
    return json.dumps(asdict(origin)) + "\n"


def result_line(result: PipelineResult) -> str:
    record = {
        "id": result.id,
        "windows": [pack_window(window) for window in result.windows],
        "outcomes": pack_outcomes(result.outcomes),
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


def pack_window(window: WindowWithLogits) -> list[str]:
    """Returns Base64 of the little-endian arrays: exact, and a third of the size of digits."""
    return [_pack(window.ids), _pack(window.start), _pack(window.end)]


def pack_outcomes(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    return {
        name: None if outcome is None else [asdict(span) for span in outcome]
        for name, outcome in outcomes.items()
    }


def read_origin(path: Path) -> Origin:
    """Reads the file's first line. Raises `ResultsError` and `OSError`."""
    with path.open(encoding="utf-8") as file:
        try:
            return unpack_origin(json.loads(file.readline()))
        except (ValueError, TypeError, KeyError) as error:
            raise ResultsError(f"{path}: not a file of reference results: {error}") from None


def read_results(path: Path) -> Iterator[PipelineResult]:
    """Yields all results in the file. Raises `ResultsError` and `OSError`."""
    with path.open(encoding="utf-8") as file:
        file.readline()
        for number, line in enumerate(file, start=2):
            try:
                yield _result(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise ResultsError(f"{path}, line {number}: {error}") from None


def drop_incomplete_line(path: Path) -> None:
    """Removes a last line without a line end, which a killed run can leave."""
    content = path.read_bytes()
    complete = content.rfind(b"\n") + 1
    if complete < len(content):
        with path.open("r+b") as file:
            file.truncate(complete)


def unpack_origin(record: dict[str, Any]) -> Origin:
    settings = tuple(Setting(**setting) for setting in record["settings"])
    return Origin(**{**record, "settings": settings})


def unpack_window(packed: list[str]) -> WindowWithLogits:
    ids, start, end = packed
    return WindowWithLogits(
        ids=_unpack(ids, np.dtype("<i4")),
        start=_unpack(start, np.dtype("<f4")),
        end=_unpack(end, np.dtype("<f4")),
    )


def unpack_outcomes(record: Mapping[str, Any]) -> dict[str, Outcome]:
    return {
        name: None if outcome is None else tuple(AnswerSpan(**span) for span in outcome)
        for name, outcome in record.items()
    }


def _result(record: dict[str, Any]) -> PipelineResult:
    return PipelineResult(
        id=record["id"],
        windows=tuple(map(unpack_window, record["windows"])),
        outcomes=unpack_outcomes(record["outcomes"]),
    )


def _pack(values: NDArray[Any]) -> str:
    return base64.b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode()


def _unpack(text: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(text), dtype=dtype)
