"""Records the pipeline's results for the texts in `record_texts.py`.

`python -m tests.parity.record DIR`; DIR has the default model's config, tokenizer and
`model.safetensors`. Needs `make parity`. Stops without writing a file if a difference in it is
unexplained.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from tests.parity.emulation import Emulation, Logits
from tests.parity.emulation_windows import Encoder, TokenWindow
from tests.parity.explain import explain
from tests.parity.pipeline import Pipeline
from tests.parity.pipeline_results import Outcome, Setting, WindowWithLogits
from tests.parity.record_texts import TEXTS, Text
from tests.parity.recorded_cases import (
    DIRECTORY,
    Case,
    emulated_outcome,
    save,
    token_ids,
    without_zero_scores,
)
from tests.parity.worker_spans import worker_spans, worker_windows
from worker.inference.question_answering.windows import Windower
from worker.model_tools.evaluation.squad import Example
from worker.models.bundle import DEFAULT_BUNDLE, open_bundle

SETTINGS = tuple(
    Setting(
        name=f"top {top_k}{', no answer' if no_answer else ''}{'' if align else ', unaligned'}",
        top_k=top_k,
        handle_impossible_answer=no_answer,
        align_to_words=align,
    )
    for top_k in (1, 5)
    for no_answer in (False, True)
    for align in (True, False)
)


class Recorder:
    """Runs the pipeline and the worker's windowing with one window length and stride."""

    def __init__(self, model: Path, max_seq_len: int, doc_stride: int) -> None:
        bundle = open_bundle(DEFAULT_BUNDLE)
        self._pipeline = Pipeline(model, max_seq_len=max_seq_len, doc_stride=doc_stride)
        self.origin = self._pipeline.origin(SETTINGS)
        self._encoder = Encoder(
            bundle.tokenizer_file, max_seq_len=max_seq_len, doc_stride=doc_stride
        )
        self._windower = Windower(bundle, max_tokens=max_seq_len)

    def record(self, text: Text) -> Case:
        """Returns the recorded case. Raises `SystemExit` if a difference is unexplained."""
        example = Example(text.name, text.question, text.context, ())
        result = self._pipeline.run(example, SETTINGS)
        recorded = {token_ids(window): window for window in result.windows}

        def window_of(ids: tuple[int, ...]) -> WindowWithLogits:
            if ids not in recorded:
                recorded[ids] = self._pipeline.logits(ids)
            return recorded[ids]

        def model(window: TokenWindow) -> Logits:
            with_logits = window_of(tuple(window.ids.tolist()))
            return with_logits.start, with_logits.end

        emulation = Emulation(
            self._encoder, text.question, text.context, worker_model=model, pipeline_model=model
        )
        encoded = worker_windows(
            self._windower,
            example,
            max_tokens=self.origin.max_seq_len,
            stride=self.origin.doc_stride,
        )
        differences = {}
        for setting in SETTINGS:
            outcome: Outcome = None
            if encoded is not None:
                context, windows = encoded
                pairs = [(window, window_of(tuple(window.ids.tolist()))) for window in windows]
                outcome = worker_spans(
                    text.context,
                    context,
                    [(window, logits.start, logits.end) for window, logits in pairs],
                    setting,
                )
            pipeline_outcome = result.outcomes[setting.name]
            explanation = explain(
                without_zero_scores(outcome),
                without_zero_scores(pipeline_outcome),
                partial(emulated_outcome, emulation, setting),
            )
            if explanation.differences is None:
                sys.exit(f"{text.name}, {setting.name}: {outcome} and {pipeline_outcome}")
            differences[setting.name] = explanation.differences
        indices = {ids: index for index, ids in enumerate(recorded)}
        return Case(
            name=text.name,
            question=text.question,
            context=text.context,
            windows=tuple(recorded.values()),
            pipeline_windows=tuple(indices[token_ids(window)] for window in result.windows),
            worker_windows=None
            if encoded is None
            else tuple(indices[tuple(window.ids.tolist())] for window in encoded[1]),
            pipeline_outcomes=result.outcomes,
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
