"""Hugging Face's question-answering pipeline on torch: the oracle. Needs `make parity`.

Runs `preprocess`, `forward` and `postprocess` as the pipeline's own `run_single` does, with the
model run once for all the settings; the one module that imports transformers and torch.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from tests.parity.reference_results import (
    Found,
    Origin,
    Outcome,
    Reading,
    ReadWindow,
    ResultsError,
    Setting,
    origin_line,
    read_origin,
    reading_line,
)
from worker.model_tools.evaluation.squad import Example

VERSION = "4.57."


class Oracle:
    """The pipeline over one model directory (config, tokenizer and `model.safetensors`)."""

    def __init__(self, directory: Path, *, max_seq_len: int, doc_stride: int) -> None:
        """Raises `ResultsError` for another transformers than 4.57."""
        if not transformers.__version__.startswith(VERSION):
            raise ResultsError(
                f"transformers is {transformers.__version__}; the reference is {VERSION}*"
            )
        self._pipeline = transformers.pipeline(
            "question-answering",
            model=str(directory),
            tokenizer=str(directory),
            framework="pt",
            device=-1,
        )
        self._lengths = {"max_seq_len": max_seq_len, "doc_stride": doc_stride}
        self.weights_sha256 = hashlib.sha256(
            (directory / "model.safetensors").read_bytes()
        ).hexdigest()

    def read(self, example: Example, settings: Sequence[Setting]) -> Reading:
        """The pipeline's windows, logits and spans."""
        try:
            [sample] = self._pipeline._args_parser(
                question=example.question, context=example.context
            )
            features = list(self._pipeline.preprocess(sample, **self._lengths))
        except BaseException as error:
            _raise_unless_refused(error)
            return Reading(example.id, (), dict.fromkeys(setting.name for setting in settings))
        outputs = [self._pipeline.forward(feature) for feature in features]
        return Reading(
            id=example.id,
            windows=tuple(
                ReadWindow(
                    ids=_row(output["input_ids"], np.int32),
                    start=_row(output["start"], np.float32),
                    end=_row(output["end"], np.float32),
                )
                for output in outputs
            ),
            found={setting.name: self._outcome(outputs, setting) for setting in settings},
        )

    def _outcome(self, outputs: list[dict[str, Any]], setting: Setting) -> Outcome:
        try:
            return _found(self._pipeline.postprocess(outputs, **setting.parameters()))
        except ValueError:
            return None

    def front_door(self, example: Example, setting: Setting) -> Outcome:
        """The same, called as users call it."""
        try:
            return _found(
                self._pipeline(
                    question=example.question,
                    context=example.context,
                    **self._lengths,
                    **setting.parameters(),
                )
            )
        except BaseException as error:
            _raise_unless_refused(error)
            return None

    def logits(self, ids: Sequence[int]) -> ReadWindow:
        """A window that the pipeline itself would not have made."""
        with torch.inference_mode():
            output = self._pipeline.model(input_ids=torch.tensor([ids]))
        return ReadWindow(
            ids=np.array(ids, np.int32),
            start=_row(output["start_logits"], np.float32),
            end=_row(output["end_logits"], np.float32),
        )

    def origin(self, settings: Sequence[Setting]) -> Origin:
        return Origin(
            transformers=transformers.__version__,
            weights_sha256=self.weights_sha256,
            settings=tuple(settings),
            **self._lengths,
        )


def append_results(
    oracle: Oracle,
    path: Path,
    examples: Iterable[Example],
    settings: Sequence[Setting],
    advance: Callable[[], None],
) -> None:
    """Read `examples` and add them to the file at `path`; `advance` is called after each.

    Raises `ResultsError` where the file comes from other weights or other settings.
    """
    origin = oracle.origin(settings)
    if not path.exists() or not path.stat().st_size:
        path.write_text(origin_line(origin), encoding="utf-8")
    if read_origin(path) != origin:
        raise ResultsError(f"{path} was made with other weights or settings; remove it")
    with path.open("a", encoding="utf-8") as file:
        for example in examples:
            file.write(reading_line(oracle.read(example, settings)))
            advance()


def use_threads(count: int) -> None:
    torch.set_num_threads(count)


def _raise_unless_refused(error: BaseException) -> None:
    """`tokenizers` panics where a question is too long: a BaseException without a public type."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error


def _row(tensor: Any, dtype: type) -> Any:
    return tensor[0].numpy().astype(dtype)


def _found(given: Any) -> tuple[Found, ...]:
    """The pipeline gives one answer as itself, and none or several as a list."""
    several = [given] if isinstance(given, dict) else given
    return tuple(
        Found(
            answer=one["answer"],
            score=float(one["score"]),
            start=int(one["start"]),
            end=int(one["end"]),
        )
        for one in several
    )
