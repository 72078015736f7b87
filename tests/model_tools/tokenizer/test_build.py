"""A model directory's tokenizer becomes the tokenizer.json that models are published with."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.examples import examples
from tests.inference.texts import ANYTHING, LONG
from tests.model_tools.model_directories import (
    ACCENTED,
    CASED,
    UNCASED,
    loaded,
    model_directory,
    published_json,
)
from worker.inference.tokenizer import open_tokenizer, pair_template
from worker.model_tools.tokenizer.build import build_tokenizer

KINDS = {
    "uncased": (UNCASED, True, None),
    "cased": (CASED, False, None),
    "lower-cased with accents": (ACCENTED, True, False),
}


@pytest.fixture(scope="module")
def equivalents() -> dict[str, tuple[Tokenizer, Tokenizer]]:
    """For each kind the tokenizer built from vocab.txt and the published one."""
    pairs = {}
    for kind, (vocabulary, lowercase, strip_accents) in KINDS.items():
        config = {"do_lower_case": lowercase, "strip_accents": strip_accents}
        published = published_json(vocabulary, lowercase=lowercase, strip_accents=strip_accents)
        with tempfile.TemporaryDirectory() as directory:
            made = build_tokenizer(
                model_directory(Path(directory), vocabulary, tokenizer_config=config)
            )
        pairs[kind] = (loaded(made), Tokenizer.from_str(json.dumps(published)))
    return pairs


TEXTS = ANYTHING | LONG | st.text("aÉéZ[]#\u0301東 .", max_size=20)


@pytest.mark.parametrize("kind", KINDS)
@given(question=TEXTS, context=TEXTS)
@examples(200)
def test_built_tokenizer_encodes_like_the_published_one(
    equivalents: dict[str, tuple[Tokenizer, Tokenizer]], kind: str, question: str, context: str
) -> None:
    built, published = (tokenizer.encode(question, context) for tokenizer in equivalents[kind])
    assert built.ids == published.ids
    assert built.offsets == published.offsets
    assert built.word_ids == published.word_ids
    assert built.type_ids == published.type_ids


@pytest.mark.parametrize("kind", KINDS)
def test_built_tokenizer_equals_the_published_file(tmp_path: Path, kind: str) -> None:
    vocabulary, lowercase, strip_accents = KINDS[kind]
    config = {"do_lower_case": lowercase, "strip_accents": strip_accents}
    made = build_tokenizer(model_directory(tmp_path, vocabulary, tokenizer_config=config))
    built = json.loads(made.content)
    published = published_json(vocabulary, lowercase=lowercase, strip_accents=strip_accents)
    # The same template in another form; the test above compares what it encodes.
    assert built.pop("post_processor")["type"] == "BertProcessing"
    del published["post_processor"]
    assert built == published
    assert not made.notes


def test_worker_opens_a_built_tokenizer(tmp_path: Path) -> None:
    made = build_tokenizer(model_directory(tmp_path))
    file = tmp_path / "tokenizer.json"
    file.write_bytes(made.content)
    template = pair_template(open_tokenizer(file), file)
    assert (template.cls, template.sep, template.context_type) == (2, 3, 1)


def test_published_tokenizer_is_used_unchanged(tmp_path: Path) -> None:
    published = published_json(CASED, lowercase=False, strip_accents=None)
    made = build_tokenizer(model_directory(tmp_path, UNCASED, tokenizer=published))
    assert made.content == (tmp_path / "tokenizer.json").read_bytes()
    assert not made.notes


def test_contradiction_with_tokenizer_config_is_noted(tmp_path: Path) -> None:
    published = published_json(CASED, lowercase=False, strip_accents=None)
    config = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
    made = build_tokenizer(model_directory(tmp_path, tokenizer=published, tokenizer_config=config))
    (note,) = made.notes
    assert "do_lower_case True" in note
    assert "has False" in note
