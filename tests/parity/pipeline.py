"""Runs Hugging Face's question-answering pipeline on torch. Needs `make parity`.

Calls `preprocess`, `forward` and `postprocess` as the pipeline's `run_single` does, but runs the
model once for all settings.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from tests.parity.pipeline_results import (
    AnswerSpan,
    Origin,
    Outcome,
    PipelineResult,
    ResultsError,
    Setting,
    WindowWithLogits,
    origin_line,
    read_origin,
    result_line,
)
from worker.model_tools.evaluation.squad import Example

VERSION = "4.57."


class Pipeline:
    """The pipeline with the model of a directory (config, tokenizer and `model.safetensors`)."""

    def __init__(self, directory: Path, *, max_seq_len: int, doc_stride: int) -> None:
        """Lengths are in tokens. Raises `ResultsError` unless transformers' version is 4.57."""
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

    def run(self, example: Example, settings: Sequence[Setting]) -> PipelineResult:
        """Returns windows, logits and the outcome of each setting."""
        try:
            [sample] = self._pipeline._args_parser(
                question=example.question, context=example.context
            )
            features = list(self._pipeline.preprocess(sample, **self._lengths))
        except BaseException as error:
            _raise_unless_rejection(error)
            no_outcomes = dict.fromkeys(setting.name for setting in settings)
            return PipelineResult(example.id, (), no_outcomes)
        outputs = [self._pipeline.forward(feature) for feature in features]
        return PipelineResult(
            id=example.id,
            windows=tuple(
                WindowWithLogits(
                    ids=_row(output["input_ids"], np.int32),
                    start=_row(output["start"], np.float32),
                    end=_row(output["end"], np.float32),
                )
                for output in outputs
            ),
            outcomes={setting.name: self._outcome(outputs, setting) for setting in settings},
        )

    def _outcome(self, outputs: list[dict[str, Any]], setting: Setting) -> Outcome:
        try:
            return _answer_spans(self._pipeline.postprocess(outputs, **setting.parameters()))
        except ValueError:
            return None

    def logits(self, ids: Sequence[int]) -> WindowWithLogits:
        """Runs the model on a window that the pipeline itself would not create."""
        with torch.inference_mode():
            output = self._pipeline.model(input_ids=torch.tensor([ids]))
        return WindowWithLogits(
            ids=np.array(ids, np.int32),
            start=_row(output["start_logits"], np.float32),
            end=_row(output["end_logits"], np.float32),
        )

    def origin(self, settings: Sequence[Setting]) -> Origin:
        """Returns the versions and settings that results of this pipeline depend on."""
        return Origin(
            transformers=transformers.__version__,
            weights_sha256=self.weights_sha256,
            settings=tuple(settings),
            **self._lengths,
        )


def append_results(
    pipeline: Pipeline,
    path: Path,
    examples: Iterable[Example],
    settings: Sequence[Setting],
    advance: Callable[[], None],
) -> None:
    """Runs the pipeline on `examples` and appends the results to the file at `path`.

    Calls `advance` after each example. Raises `ResultsError` if the file has another origin.
    """
    origin = pipeline.origin(settings)
    if not path.exists() or not path.stat().st_size:
        path.write_text(origin_line(origin), encoding="utf-8")
    if read_origin(path) != origin:
        raise ResultsError(f"{path} is from other weights or settings: remove it and run again")
    with path.open("a", encoding="utf-8") as file:
        for example in examples:
            file.write(result_line(pipeline.run(example, settings)))
            advance()


def use_threads(count: int) -> None:
    """Sets the number of torch's threads."""
    torch.set_num_threads(count)


def _raise_unless_rejection(error: BaseException) -> None:
    """Raises `error` again unless the pipeline raises it for a question that it cannot process.

    `tokenizers` panics if a question is too long. The panic is a BaseException without a public
    type.
    """
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error


def _row(tensor: Any, dtype: type) -> Any:
    return tensor[0].numpy().astype(dtype)


def _answer_spans(result: Any) -> tuple[AnswerSpan, ...]:
    """Converts the pipeline's result: a dict for one answer, otherwise a list of dicts."""
    answers = [result] if isinstance(result, dict) else result
    return tuple(
        AnswerSpan(
            answer=answer["answer"],
            score=float(answer["score"]),
            start=int(answer["start"]),
            end=int(answer["end"]),
        )
        for answer in answers
    )
