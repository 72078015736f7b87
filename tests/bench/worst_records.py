"""Searches for the records that take the most memory while they are read.

    python -m tests.bench.worst_records [--tries 60] [--seed 1] [--bytes 1040000]

A record is a repeated unit of text, a repeated unit of metadata, and options. The search starts
from each unit alone and changes the worst records found, one part at a time (hill climbing). Each
record is read in a process of its own, as many at once as a worker takes (`QA_MAX_IN_FLIGHT_BYTES`
and `QA_MAX_IN_FLIGHT_TOKENS`), on two threads, with the default model's tokenizer. The logits are
all 0, so that all spans tie. Prints the peak of the resident memory above that of a reader at rest.
`python -m tests.bench.largest` sends such records to a worker.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import numpy as np

from schemas.envelope import Envelope, decode_event, encode_outcome
from schemas.question import Question
from schemas.rejection import Rejected
from tests.bench.process import peak_rss_mib
from tests.inference.bundles import write_bundle
from tests.inference.graphs import table_model
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.tokenizer import open_tokenizer
from worker.models.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from worker.settings.delivery import DeliverySettings

TEXTS = (
    *("1,", "a ", ".", "x", " ", "東", "😀", "é", "a\u0301 ", "ﷺ", "a\u200c,", "‼\u200d", "🇫"),
    *("zqx ", "the ", "\u1100", "ก\u0e33", "a\u00ad", "\u200b", "क\u094d", "각", "ΐ"),
    *("x" * 99 + " ", ""),
)
METADATA = ("", "[]", "{}", "0", "1.5", "300", '"ab"', '{"":0}', "[0]", "[[]]", '{"a":[]}', '"é"')
OPTIONS: tuple[dict[str, object], ...] = (
    {},
    {"top_k": 20, "max_answer_tokens": 100, "align_to_words": False},
    {"top_k": 20, "max_answer_tokens": 100, "doc_stride": 0, "no_answer": True},
    {"top_k": 20, "doc_stride": 400},
)


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of record."""

    text: tuple[str, ...] = ("a ",)
    metadata: str = ""
    question: str = "What?"
    share: float = 1.0
    """Of the bytes, the text's; the rest is metadata."""
    part: float = 1.0
    """Of the largest size."""
    options: int = 0
    word: float = 0.0
    """Of the text, one long word at its beginning."""

    def record(self, size: int) -> bytes:
        """The event, of at most `size` bytes."""
        size = int(size * self.part) - len(self.question.encode()) - 300
        unit = "".join(self.text)
        space = int(size * self.share)
        word = "x" * int(space * self.word)
        text = word + unit * max(1, (space - len(word)) // max(1, len(unit.encode())))
        count = int(size * (1 - self.share)) // (len(self.metadata.encode()) + 1)
        metadata = ",".join([self.metadata] * count) if self.metadata else ""
        event = {
            "question": self.question,
            "context": text or "a",
            "options": OPTIONS[self.options],
        }
        head = json.dumps(event, ensure_ascii=False)[:-1]
        return f'{head},"metadata":{{"m":[{metadata}]}}}}'.encode()

    def changed(self, random: Random) -> "Shape":
        """This shape with one part changed."""
        text = list(self.text)
        text[random.randrange(len(text))] = random.choice(TEXTS)
        return random.choice(
            [
                replace(self, text=tuple(text)),
                replace(self, text=(*self.text, random.choice(TEXTS))[-4:]),
                replace(self, metadata=random.choice(METADATA), share=random.random()),
                replace(self, share=random.choice([0.0, 0.1, 0.5, 0.9, 1.0])),
                replace(self, part=random.choice([0.05, 0.1, 0.25, 0.5, 1.0])),
                replace(self, word=random.choice([0.0, 0.3, 0.5, 0.8])),
                replace(self, options=random.randrange(len(OPTIONS))),
                replace(self, question=random.choice(["What?", "who " * 250])),
            ]
        )


KINDS = {
    "one-letter words": Shape(("a ",)),
    "a token for each byte": Shape(("1,",)),
    "one long word": Shape(("각",)),
    "metadata": Shape(("a",), '{"":0}', share=0.0),
    "most windows and spans": Shape(("1,",), part=0.09, options=1),
}
"""The worst of each kind, for `tests.bench.largest`."""


def starts() -> Iterator[Shape]:
    """Each unit alone."""
    for text in filter(None, TEXTS):
        yield Shape((text,))
    yield Shape((" 1,",), word=0.5)
    # As many tokens as an answer may have.
    yield Shape(("1,",), part=0.09, options=1)
    for metadata in filter(None, METADATA):
        yield Shape(("a",), metadata, share=0.0)


def bundle_of_ties(directory: Path) -> Bundle:
    """The default model's tokenizer with a model whose logits are all 0."""
    tokenizer = open_tokenizer(open_bundle(DEFAULT_BUNDLE).tokenizer_file)
    zeros = np.zeros(tokenizer.get_vocab_size())
    model = table_model(zeros, zeros)
    return open_bundle(write_bundle(directory, tokenizer=tokenizer, model=model, max_tokens=512))


def peak_mib(bundle: Bundle, record: bytes, records: int) -> float:
    """The peak while `records` of them are read at once, above the memory before, in MiB."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_read, args=(sending, bundle, record, records))
    process.start()
    peak: float = receiving.recv()
    process.join()
    return peak


def _read(sending: Connection, bundle: Bundle, record: bytes, records: int) -> None:
    with InferenceEngine(bundle, InferenceOptions(threads=2)) as engine:
        Path("/proc/self/clear_refs").write_text("5")
        before = peak_rss_mib(os.getpid())
        # One thread decodes large records, as in the worker.
        with ThreadPoolExecutor(1) as decoder:
            values = [bytes(bytearray(record)) for _ in range(records)]
            envelopes = [decoder.submit(_decode, value, len(record)) for value in values]
            pending = [(each.result(), engine.submit(each.result().event)) for each in envelopes]
            outputs = []
            for envelope, future in pending:
                try:
                    outcome = future.result().outcome
                except Rejected:
                    continue
                whole = decoder.submit(envelope.with_metadata, outcome).result()
                encoded = decoder.submit(encode_outcome, whole, envelope.mode, [], source="/")
                outputs.append(encoded.result())
        sending.send(peak_rss_mib(os.getpid()) - before)


def records_at_once(record: bytes) -> int:
    """How many of them a worker takes: whole polls, of four partitions at least."""
    settings = DeliverySettings()
    text = json.loads(record)["context"]
    tokens = len(text) // 4 if text.isascii() else len(text)
    by_tokens = settings.max_in_flight_tokens // max(1, tokens)
    return max(4, min(settings.max_in_flight_bytes // len(record), by_tokens))


def _decode(value: bytes, size: int) -> Envelope[Question]:
    return decode_event(Question, value, [], default_id="q", max_bytes=size).packed()


def search(bundle: Bundle, *, tries: int, seed: int, size: int) -> None:
    random = Random(seed)
    found: dict[Shape, float] = {}

    def measure(shape: Shape) -> None:
        if shape not in found:
            record = shape.record(size)
            count = records_at_once(record)
            found[shape] = peak_mib(bundle, record, count)
            print(f"{found[shape]:6.0f} MiB  {count} of {shape}", flush=True)

    for shape in starts():
        measure(shape)
    for _ in range(tries):
        best = sorted(found, key=lambda shape: -found[shape])[:3]
        measure(random.choice(best).changed(random))
    print("\nthe worst:")
    for shape in sorted(found, key=lambda shape: -found[shape])[:10]:
        print(f"{found[shape]:6.0f} MiB  {shape}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bytes", type=int, default=1_040_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        search(
            bundle_of_ties(Path(directory) / "ties"),
            tries=asked.tries,
            seed=asked.seed,
            size=asked.bytes,
        )
