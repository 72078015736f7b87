"""Our side of the comparison: a float32 bundle, its windows and its session.

The reader's own parts, put together without its threads, because the logits are needed too.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import onnx

from tests.parity.against_transformers_spans import our_spans, our_windows
from tests.parity.reference import Logits
from tests.parity.reference_results import Outcome, Setting
from tests.parity.reference_windows import TokenWindow
from worker.inference.onnx_session import OnnxSession, SessionOptions
from worker.inference.question_answering.spans import WindowLogits
from worker.inference.question_answering.windows import EncodedContext, Windower
from worker.inference.window import Window
from worker.model_tools.convert.convert import convert_directory
from worker.model_tools.evaluation.squad import Example
from worker.model_tools.manifest_writer import Provenance, write_manifest
from worker.models.bundle import Bundle, open_bundle
from worker.models.manifest import CONFIG, MODEL, TOKENIZER


@dataclass(frozen=True, slots=True)
class OurReading:
    """A question with the logits of its windows, before spans are picked."""

    text: str
    context: EncodedContext
    read: tuple[WindowLogits, ...]

    def outcome(self, setting: Setting) -> Outcome:
        return our_spans(self.text, self.context, self.read, setting)


class OurReader:
    """Reads with one fp32 bundle. Any thread may call it."""

    def __init__(self, bundle: Bundle, *, max_tokens: int, stride: int, threads: int) -> None:
        self._windower = Windower(bundle, max_tokens=max_tokens)
        self._session = OnnxSession(bundle, SessionOptions(callers=threads))
        self._max_tokens = max_tokens
        self._stride = stride

    def read(self, example: Example) -> OurReading | None:
        """`None` where the question is rejected."""
        windows = our_windows(
            self._windower, example, max_tokens=self._max_tokens, stride=self._stride
        )
        if windows is None:
            return None
        context, cut = windows
        read = []
        for window in cut:
            # Alone, as the pipeline runs it.
            [(start, end)] = self._session.run([window])
            read.append((window, start, end))
        return OurReading(example.context, context, tuple(read))

    def logits(self, window: TokenWindow) -> Logits:
        """Of a window that we would not have cut."""
        [(start, end)] = self._session.run(
            [Window(ids=window.ids, types=window.types, offset=0, first=0, count=0)]
        )
        return start, end


def fp32_bundle(source: Path, directory: Path) -> Bundle:
    """A bundle of `source`'s safetensors, made in `directory`. Raises `BundleError`, `OSError`."""
    onnx.save(convert_directory(source), directory / MODEL)
    for name in (CONFIG, TOKENIZER):
        shutil.copyfile(source / name, directory / name)
    write_manifest(directory, Provenance(name="converted"))
    return open_bundle(directory)
