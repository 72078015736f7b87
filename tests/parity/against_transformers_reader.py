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
from worker.bundles.convert import convert_directory
from worker.bundles.make import Origin, write_manifest
from worker.reading.bundle import Bundle, open_bundle
from worker.reading.evaluate import Example
from worker.reading.manifest import CONFIG, MODEL, TOKENIZER
from worker.reading.session import Session, SessionOptions
from worker.reading.spans import Read
from worker.reading.windows import EncodedContext, Window, Windower


@dataclass(frozen=True, slots=True)
class OurReading:
    """A question with the logits of its windows, before spans are picked."""

    text: str
    context: EncodedContext
    read: tuple[Read, ...]

    def outcome(self, setting: Setting) -> Outcome:
        return our_spans(self.text, self.context, self.read, setting)


class OurReader:
    """Reads with one fp32 bundle. Any thread may call it."""

    def __init__(self, bundle: Bundle, *, max_tokens: int, stride: int, threads: int) -> None:
        self._windower = Windower(bundle, max_tokens=max_tokens)
        self._session = Session(bundle, SessionOptions(callers=threads))
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
    write_manifest(directory, Origin(name="converted"))
    return open_bundle(directory)
