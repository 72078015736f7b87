"""The comparison of tokenizers counts differences of every field."""

import pytest
from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from tests.inference.bundles import bert_tokenizer
from tests.parity.vocabularies import FIELDS, Differences

WORDS = ("red", "##top", "redtop", "-", "##-", "##x", "x")


def changed(part: str) -> Tokenizer:
    """Returns the tokenizer with one changed part."""
    tokenizer = bert_tokenizer([word for word in WORDS if part != "pieces" or word != "redtop"])
    if part == "case":
        tokenizer.normalizer = BertNormalizer(lowercase=False)
    elif part == "template":
        tokenizer.post_processor = TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B [SEP]",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
    elif part == "words":
        tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


@pytest.mark.parametrize(
    ("part", "text", "fields"),
    [
        ("nothing", "Redtop x", []),
        ("case", "Redtop x", ["ids"]),
        ("template", "Redtop x", ["type_ids"]),
        ("words", "x--x", ["ids", "word_ids"]),
        ("pieces", "Redtop x", ["ids", "offsets", "word_ids", "type_ids"]),
    ],
)
def test_all_differing_fields_are_counted(part: str, text: str, fields: list[str]) -> None:
    differences = Differences()
    differences.add(text, bert_tokenizer(WORDS), changed(part))
    assert [name for name in FIELDS if differences.counts[name]] == fields
    assert differences.first_text == (text if fields else None)
