"""Runs the worker's tokenizer and model on questions, and keeps the logits of the windows.

Uses the parts of `InferenceEngine` without the engine, which does not return logits.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import onnx

from tests.parity.emulation import Logits
from tests.parity.emulation_windows import TokenWindow
from tests.parity.pipeline_results import Outcome, Setting
from tests.parity.worker_spans import worker_spans, worker_windows
from worker.inference.onnx_session import OnnxSession, SessionOptions
from worker.inference.question_answering.candidates import WindowLogits
from worker.inference.question_answering.windows import EncodedContext, Windower
from worker.inference.window import Window
from worker.model_tools.convert.convert import convert_directory
from worker.model_tools.evaluation.squad import Example
from worker.model_tools.manifest_writer import Provenance, write_manifest
from worker.models.bundle import Bundle, open_bundle
from worker.models.manifest import CONFIG, MODEL, TOKENIZER


@dataclass(frozen=True, slots=True)
class WorkerLogits:
    """The windows of a question with their logits, before spans are selected."""

    text: str
    context: EncodedContext
    windows: tuple[WindowLogits, ...]

    def outcome(self, setting: Setting) -> Outcome:
        """Returns the spans for a setting."""
        return worker_spans(self.text, self.context, self.windows, setting)


class WorkerModel:
    """One fp32 bundle. Thread-safe."""

    def __init__(self, bundle: Bundle, *, max_tokens: int, stride: int, threads: int) -> None:
        self._windower = Windower(bundle, max_tokens=max_tokens)
        self._session = OnnxSession(bundle, SessionOptions(callers=threads))
        self._max_tokens = max_tokens
        self._stride = stride

    def run(self, example: Example) -> WorkerLogits | None:
        """Returns `None` if the worker rejects the question."""
        encoded = worker_windows(
            self._windower, example, max_tokens=self._max_tokens, stride=self._stride
        )
        if encoded is None:
            return None
        context, windows = encoded
        logits = []
        for window in windows:
            # One window in each batch, as in the pipeline.
            [(start, end)] = self._session.run([window])
            logits.append((window, start, end))
        return WorkerLogits(example.context, context, tuple(logits))

    def logits(self, window: TokenWindow) -> Logits:
        """Returns the logits of a window that the worker itself would not create."""
        [(start, end)] = self._session.run(
            [Window(ids=window.ids, types=window.types, offset=0, first=0, count=0)]
        )
        return start, end


def fp32_bundle(source: Path, directory: Path) -> Bundle:
    """Converts `source`'s safetensors to a bundle in `directory`.

    Raises `BundleError` and `OSError`.
    """
    onnx.save(convert_directory(source), directory / MODEL)
    for name in (CONFIG, TOKENIZER):
        shutil.copyfile(source / name, directory / name)
    write_manifest(directory, Provenance(name="converted"))
    return open_bundle(directory)
