"""The key of an event in the answer cache: a hash of all that its outcome depends on. Pure.

An event's id, metadata and deadline, and the ids and metadata of its passages, are not part of it:
they change nothing in the outcome, or are filled in afterwards (`stored_outcome.py`). Ids of
passages with equal texts are: such passages rank by them. Scores of passages are, unless the weight
of the retriever is 0.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import pydantic_core

from schemas.answer import ModelInfo
from schemas.event import Event
from schemas.question import Question
from schemas.text import Text
from worker.inference.options import InferenceOptions

KEY_BYTES = 32
"""BLAKE2b of 256 bits: no producer can make two events with the same key."""


class CacheKeys:
    """Makes the keys for one model and the options of one worker, as `InferenceOptions.for_model`
    gives them for the model. Thread-safe.
    """

    def __init__(self, model: ModelInfo, options: InferenceOptions) -> None:
        self._options = options
        self._model = hashlib.blake2b(digest_size=KEY_BYTES)
        for part in (model.sha256, model.provider):
            _add(self._model, part.encode())

    def key(self, event: Event[Any]) -> bytes:
        """The key, of KEY_BYTES. Takes about a millisecond for each megabyte of text."""
        digest = self._model.copy()
        for part in self._parts(event):
            _add(digest, part)
        return digest.digest()

    def _parts(self, event: Event[Any]) -> Iterator[bytes]:
        match event:
            case Question():
                yield event.question.encode()
                options = self._options.effective(event.options)
                yield pydantic_core.to_json(options)
                passages = event.passages
                texts = [passage.text for passage in passages]
                # What follows depends on parts before it alone, so no two sequences are equal.
                yield len(texts).to_bytes(8)
                yield from (text.encode() for text in texts)
                if options["retriever_weight"]:
                    for passage in passages:
                        yield b"" if passage.score is None else repr(passage.score).encode()
                if len(set(texts)) < len(texts):
                    yield from ((passage.id or "").encode() for passage in passages)
            case Text():
                yield event.text.encode()
            case _:
                raise TypeError(f"no key for a {type(event).__name__}")


def _add(digest: "hashlib.blake2b", part: bytes) -> None:
    # The length before each part: different parts never make the same sequence of bytes.
    digest.update(len(part).to_bytes(8))
    digest.update(part)
