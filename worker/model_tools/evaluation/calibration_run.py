"""Runs a model on the questions of a file, and keeps what a calibration is fitted to."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from schemas.answer import Span
from schemas.question import Question, ReadingOptions
from schemas.rejection import Rejected
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.job import QuestionJob
from worker.inference.question_answering.spans import SpanOptions
from worker.inference.question_answering.temperature import Softmax
from worker.model_tools.evaluation.calibration import THRESHOLD_LIMIT, Sample, ScoredSpan
from worker.model_tools.evaluation.squad import Example, score
from worker.model_tools.evaluation.unbatched import UnbatchedReader


def read_samples(
    reader: UnbatchedReader,
    options: InferenceOptions,
    examples: Sequence[Example],
    *,
    on_example: Callable[[], None],
) -> list[Sample | None]:
    """A sample for each example, in their order; None for a question that is rejected."""
    # The empty span first, then the best other one, whatever their scores.
    both = replace(
        options.span_options(ReadingOptions()),
        top_k=2,
        no_answer=True,
        no_answer_threshold=-THRESHOLD_LIMIT,
    )
    samples = []
    with ThreadPoolExecutor(options.threads) as pool:
        try:
            for sample in pool.map(lambda example: _read(reader, both, example), examples):
                samples.append(sample)
                on_example()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return samples


def _read(reader: UnbatchedReader, options: SpanOptions, example: Example) -> Sample | None:
    event = example.event()
    if isinstance(event, Rejected):
        return None
    assert isinstance(event, Question)
    try:
        job, _ = reader.run(event)
    except Rejected:
        return None
    assert isinstance(job, QuestionJob)
    spans, softmax = job.rank(options)
    return Sample(
        span=_scored(example, next((each for each in spans if each.end), None), softmax),
        nothing=_scored(example, next((each for each in spans if not each.end), None), softmax),
        answerable=bool(example.gold),
    )


def _scored(example: Example, span: Span | None, softmax: Softmax | None) -> ScoredSpan:
    """Without a span, the empty answer with a score of 0."""
    result = score([example], {example.id: span.answer if span else ""})
    return ScoredSpan(
        score=span.score if span else 0.0,
        softmax=softmax,
        right=result.exact_match == 100.0,
        f1=result.f1 / 100,
    )
