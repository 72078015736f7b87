"""Record what the pipeline makes of `record_texts`: `python -m tests.parity.record DIR`.

DIR holds the default model's config, tokenizer and `model.safetensors`. Needs `make parity`.
Nothing is written where a difference is left unexplained.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from tests.parity.against_transformers_spans import our_spans, our_windows
from tests.parity.classes_explained import judge
from tests.parity.record_texts import TEXTS, Text
from tests.parity.recorded_cases import DIRECTORY, Case, emulated, ids_of, save, without_zeros
from tests.parity.reference import Emulation, Logits
from tests.parity.reference_pipeline import Oracle
from tests.parity.reference_results import Outcome, ReadWindow, Setting
from tests.parity.reference_windows import Encoder, TokenWindow
from worker.inference.question_answering.windows import Windower
from worker.model_tools.evaluation.squad import Example
from worker.models.bundle import DEFAULT_BUNDLE, open_bundle

SETTINGS = tuple(
    Setting(
        name=f"top {top_k}{', no answer' if none else ''}{'' if align else ', unaligned'}",
        top_k=top_k,
        handle_impossible_answer=none,
        align_to_words=align,
    )
    for top_k in (1, 5)
    for none in (False, True)
    for align in (True, False)
)


class Recorder:
    """The pipeline and our windows, for one way of cutting."""

    def __init__(self, model: Path, max_seq_len: int, doc_stride: int) -> None:
        bundle = open_bundle(DEFAULT_BUNDLE)
        self._oracle = Oracle(model, max_seq_len=max_seq_len, doc_stride=doc_stride)
        self.origin = self._oracle.origin(SETTINGS)
        self._encoder = Encoder(
            bundle.tokenizer_file, max_seq_len=max_seq_len, doc_stride=doc_stride
        )
        self._windower = Windower(bundle, max_tokens=max_seq_len)

    def record(self, text: Text) -> Case:
        """Raises `SystemExit` where a difference has no explanation."""
        example = Example(text.name, text.question, text.context, ())
        reading = self._oracle.read(example, SETTINGS)
        table = {ids_of(window): window for window in reading.windows}

        def read(ids: tuple[int, ...]) -> ReadWindow:
            if ids not in table:
                table[ids] = self._oracle.logits(ids)
            return table[ids]

        def model(window: TokenWindow) -> Logits:
            seen = read(tuple(window.ids.tolist()))
            return seen.start, seen.end

        emulation = Emulation(self._encoder, text.question, text.context, ours=model, theirs=model)
        cut = our_windows(
            self._windower,
            example,
            max_tokens=self.origin.max_seq_len,
            stride=self.origin.doc_stride,
        )
        differences = {}
        for setting in SETTINGS:
            ours: Outcome = None
            if cut is not None:
                context, windows = cut
                pairs = [(window, read(tuple(window.ids.tolist()))) for window in windows]
                ours = our_spans(
                    text.context,
                    context,
                    [(window, seen.start, seen.end) for window, seen in pairs],
                    setting,
                )
            verdict = judge(
                without_zeros(ours),
                without_zeros(reading.found[setting.name]),
                partial(emulated, emulation, setting),
            )
            if verdict.differences is None:
                sys.exit(f"{text.name}, {setting.name}: {ours} and {reading.found[setting.name]}")
            differences[setting.name] = verdict.differences
        places = {ids: place for place, ids in enumerate(table)}
        return Case(
            name=text.name,
            question=text.question,
            context=text.context,
            windows=tuple(table.values()),
            theirs=tuple(places[ids_of(window)] for window in reading.windows),
            ours=None
            if cut is None
            else tuple(places[tuple(window.ids.tolist())] for window in cut[1]),
            found=reading.found,
            differences=differences,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    model = parser.parse_args().model
    DIRECTORY.mkdir(exist_ok=True)
    for (max_seq_len, doc_stride), texts in TEXTS.items():
        recorder = Recorder(model, max_seq_len, doc_stride)
        cases = [recorder.record(text) for text in texts]
        path = DIRECTORY / f"windows_{max_seq_len}_{doc_stride}.json"
        save(path, recorder.origin, cases)
        print(f"{path.name}: {len(cases)} cases, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
