"""Random questions, contexts, passages and options over all of Unicode, from a seed.

`python -m tests.inference.fuzz [--triples 200000] [--seed 0] [--threads 2]` reads them with the
default model's tokenizer and a small model of random weights, in windows of 48 tokens, as the
worker would: from JSON. Each comes to an answer whose offsets are exact, or to a typed rejection
of the event; anything else is printed and ends with 1. Needs the extra `bench`.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import combinations, groupby
from pathlib import Path

import onnx
from rich.console import Console
from rich.table import Table

from schemas.answer import Answer
from schemas.envelope import decode_event
from schemas.question import Question
from schemas.rejection import Reason, Rejected
from tests.model_tools.random_weights import TINY_DISTILBERT, random_weights
from worker.cli.terminal import progress
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.ordered import map_ordered
from worker.model_tools.build import try_bundle
from worker.model_tools.convert.architecture import read_architecture
from worker.model_tools.convert.convert import convert
from worker.model_tools.manifest_writer import Provenance, write_manifest
from worker.models.bundle import DEFAULT_BUNDLE, Bundle
from worker.models.manifest import CONFIG, MODEL, TOKENIZER

MAX_TOKENS = 48
MAX_BYTES = 1_000_000
MAX_CONTEXTS = 6
EXPECTED = {
    Reason.NOT_JSON,
    Reason.SCHEMA,
    Reason.OPTION_OUT_OF_RANGE,
    Reason.QUESTION_TOO_LONG,
    Reason.CONTEXT_TOO_LONG,
}
"""What can be wrong with such an event. The model's and the worker's own failures are not."""

_PIECES = (
    ["the", "cat", "sat", "on", "a", "mat", "in", "1871,", "it's", "said", "—", "nobody", "knows."],
    ["é", "e\u0301", "ü", "ß", "ﬁ", "İ", "ǅ", "ſ", "Å", "Ω"],
    ["\u0301", "\u0328", "\u20d2", "\u0489", "\ufe0f", "\u093c", "\u0e34", "\u064b"],
    ["東京", "北", "タワー", "ｶﾞ", "。", "서울", "\u1112\u1161\u11ab", "ไทย", "नी", "ქართ"],
    ["👩🏽‍🚀", "🇫🇷", "🐛", "\u200d", "𝔘", "𠀀", "\U0010ffff", "\U000e0041"],
    [" ", "\u00a0", "\u2003", "\u3000", "\t", "\n", "\r\n", "\u2028", "\u200b", "\ufeff"],
    ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\ufffd", "\ufffe", "\u00ad"],
    ["[CLS]", "[SEP]", "[MASK]", "[PAD]", "##ing", "</s>", "[unused1]"],
    ["العَاصِمَة", "שָׁלוֹם", "\u202e", "\u2066", "x" * 120, "." * 40, "9" * 30],
)


def triples(count: int, seed: int) -> Iterator[bytes]:
    """Records' values: JSON, mostly good."""
    random_source = random.Random(seed)
    for number in range(count):
        question = _text(random_source, 12)
        event: dict[str, object] = {"id": str(number), "question": question}
        if random_source.random() < 0.75:
            event["context"] = _text(random_source, 60)
        else:
            event["contexts"] = _passages(random_source)
        if random_source.random() < 0.8:
            event["options"] = _options(random_source)
        yield json.dumps(event, ensure_ascii=random_source.random() < 0.5).encode(
            "utf-8", "surrogatepass"
        )


def _text(random_source: random.Random, most: int) -> str:
    """Up to `most` pieces, from one kind or from all, with or without blanks between them."""
    kinds = random_source.choice((_PIECES, (random_source.choice(_PIECES),)))
    between = random_source.choice(("", " ", " "))
    pieces = []
    for _ in range(random_source.randint(0, most)):
        if random_source.random() < 0.3:
            # Any code point. A lone surrogate is no text, and refused.
            code = random_source.randrange(sys.maxunicode + 1)
            pieces.append(chr(code))
        else:
            pieces.append(random_source.choice(random_source.choice(kinds)))
    return between.join(pieces)


def _passages(random_source: random.Random) -> object:
    """Mostly good ones, at most two more than allowed."""
    passages: list[object] = []
    for number in range(random_source.randint(0, MAX_CONTEXTS + 1)):
        passage: dict[str, object] = {"text": "a " + _text(random_source, 20)}
        if random_source.random() < 0.5:
            passage["id"] = f"p{number}"
        if random_source.random() < 0.5:
            passage["score"] = random_source.choice((0, 0.0, 0.25, 0.999, 1))
        if random_source.random() < 0.02:
            passage |= random_source.choice(
                ({"id": ""}, {"text": " "}, {"score": 1.5}, {"text": None}, {"metadata": 7})
            )
        passages.append(passage)
    return passages if random_source.random() < 0.99 else {"text": "a"}


def _options(random_source: random.Random) -> dict[str, object]:
    known: dict[str, object] = {
        "top_k": random_source.choice((1, 2, 5, 20, 21, 0)),
        "max_answer_tokens": random_source.choice((1, 2, 15, 100, 101)),
        "doc_stride": random_source.choice((0, 1, 8, 40, 1000, -1)),
        "align_to_words": random_source.random() < 0.5,
        "no_answer": random_source.random() < 0.5,
        "no_answer_threshold": random_source.choice((-100, -1.5, 0, 0.5, 100)),
        "per_context": random_source.choice((1, 2, 30)),
        "overlap": random_source.choice((0, 0.01, 0.5, 1)),
        "retriever_weight": random_source.choice((0, 0.5, 1, 100)),
        "min_score": random_source.choice((0, 0.001, 0.5, 1, 1.5)),
        "unknown": None,
    }
    # Most of them good, most of the time.
    names = random_source.sample(sorted(known), random_source.randint(0, 3))
    return {name: known[name] for name in names}


def fault(question: Question, answer: Answer) -> str | None:
    """What is wrong with an answer, or `None`."""
    passages, overlap = question.passages, question.options.overlap
    places = [(span.context_index, span.start, span.end) for span in answer.answers]
    flat = answer.context_index, answer.start, answer.end
    if not places or flat != (places[0] if answer.answered else (None, 0, 0)):
        return "the flat answer is not the best span"
    if len(set(places)) < len(places):
        return "a span stands there twice"
    for span in answer.answers:
        if (span.context_index is None) != (span.end == 0):
            return f"the passage of {span.answer!r} is {span.context_index}"
        passage = passages[span.context_index or 0]
        context = passage.text
        if span.end and span.context_id != passage.id:
            return f"{span.context_id!r} is not the id of the passage"
        if not 0 <= span.start <= span.end <= len(context):
            return f"offsets {span.start}, {span.end} in {len(context)} code points"
        if context[span.start : span.end] != span.answer:
            return f"{span.answer!r} is not what stands at {span.start}, {span.end}"
        if not 0.0 <= span.score <= 1.0:
            return f"a score of {span.score}"
    if overlap is not None and (wrong := _overlap_fault(answer, overlap)):
        return wrong
    if answer.answered != bool(answer.answer):
        return "answered, and empty; or the other way round"
    best = answer.answers[0]
    if answer.score != best.score:
        return "another score than the best span's"
    if answer.answered != (best.end > 0 and best.score >= (question.options.min_score or 0.0)):
        return "answered below min_score, or not answered above it"
    return None


def _overlap_fault(answer: Answer, overlap: float) -> str | None:
    for one, other in combinations([span for span in answer.answers if span.end], 2):
        common = min(one.end, other.end) - max(one.start, other.start)
        shortest = min(one.end - one.start, other.end - other.start)
        if one.context_index == other.context_index and common > overlap * shortest:
            return f"spans share {common} characters"
    return None


def fuzz(
    bundle: Bundle, count: int, *, seed: int, threads: int = 1
) -> tuple[Counter[str], list[str]]:
    """How many came to what, and what was wrong, a line each."""
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    defaults = InferenceOptions(
        threads=threads,
        max_tokens=MAX_TOKENS,
        max_batch_tokens=512,
        max_padding=0.5,
        max_contexts=MAX_CONTEXTS,
    )
    events = [_event(value) for value in triples(count, seed)]
    with InferenceEngine(bundle, defaults) as reader, progress() as bar:
        task = bar.add_task("reading", total=count, speed="")
        for event, outcome in zip(events, map_ordered(reader, events), strict=True):
            bar.advance(task)
            if isinstance(outcome, Rejected):
                outcomes[outcome.reason] += 1
                if outcome.reason not in EXPECTED:
                    faults.append(f"{outcome}: {event!r}")
                continue
            assert isinstance(event, Question)
            assert isinstance(outcome, Answer)
            windows = "one window" if outcome.windows == 1 else "several windows"
            windows = "several passages" if event.contexts else windows
            outcomes[f"answered from {windows}" if outcome.answered else "no answer"] += 1
            if wrong := fault(event, outcome):
                faults.append(f"{wrong}: {event!r}")
    return outcomes, faults


def _event(value: bytes) -> Question | Rejected:
    try:
        envelope = decode_event(Question, value, (), default_id="fuzz", max_bytes=MAX_BYTES)
    except Rejected as rejected:
        return rejected
    return envelope.event


def small_bundle(directory: Path) -> Bundle:
    """All the words of the default model, one narrow layer; weights large enough to disagree."""
    config = {**TINY_DISTILBERT, "vocab_size": 30_522, "n_layers": 1, "max_position_embeddings": 64}
    onnx.save(
        convert(random_weights(config, scale=0.5), read_architecture(config)), directory / MODEL
    )
    (directory / CONFIG).write_text(json.dumps(config))
    shutil.copyfile(DEFAULT_BUNDLE / TOKENIZER, directory / TOKENIZER)
    write_manifest(directory, Provenance(name="small"))
    return try_bundle(directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--triples", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        outcomes, faults = fuzz(
            small_bundle(Path(scratch)),
            arguments.triples,
            seed=arguments.seed,
            threads=arguments.threads,
        )
    table = Table(title=f"{outcomes.total():,} triples, seed {arguments.seed}")
    table.add_column("came to")
    table.add_column("triples", justify="right")
    for outcome, number in outcomes.most_common():
        table.add_row(outcome, f"{number:,}")
    table.add_row("wrong", f"{len(faults):,}")
    Console().print(table)
    for kind, lines in groupby(sorted(faults), key=lambda line: line.partition(":")[0]):
        print(f"{kind}: {next(lines)}")
    if faults:
        sys.exit(1)


if __name__ == "__main__":
    main()
