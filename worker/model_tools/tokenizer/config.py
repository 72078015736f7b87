"""Reads tokenizer_config.json, and the files that older models have for special and added tokens.

Knows the fields that matter to BERT's WordPiece, in every form that transformers has written.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, ValidationError
from tokenizers import AddedToken

from worker.model_tools.json_files import read_json_object
from worker.models.bundle import BundleError
from worker.models.error_text import first_problem

TOKENIZER_CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
ADDED_TOKENS = "added_tokens.json"

_UNLIMITED = 1e9
"""transformers writes 1e30 for a tokenizer without a limit."""


class NamedToken(BaseModel):
    """A token as text, or as transformers writes an `AddedToken`."""

    content: str = Field(min_length=1)
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False
    special: bool = False


def _as_token(value: object) -> object:
    return {"content": value} if isinstance(value, str) else value


Token = Annotated[NamedToken, BeforeValidator(_as_token)]


class TokenizerConfig(BaseModel):
    """The defaults are those of transformers' BertTokenizer."""

    tokenizer_class: str | None = None
    do_lower_case: bool = True
    strip_accents: bool | None = None
    """`None`: accents are removed if texts are lower-cased."""
    tokenize_chinese_chars: bool = True
    padding_side: Literal["left", "right"] = "right"
    model_max_length: float | None = Field(
        None, gt=0, validation_alias=AliasChoices("model_max_length", "max_len")
    )
    cls_token: Token = NamedToken(content="[CLS]")
    sep_token: Token = NamedToken(content="[SEP]")
    pad_token: Token = NamedToken(content="[PAD]")
    unk_token: Token = NamedToken(content="[UNK]")
    mask_token: Token = NamedToken(content="[MASK]")
    added_tokens_decoder: dict[int, Token] = {}

    @property
    def max_tokens(self) -> int | None:
        """The longest input, special tokens included; `None` without a limit."""
        limit = self.model_max_length
        return None if limit is None or limit >= _UNLIMITED else int(limit)

    @property
    def required(self) -> tuple[str, ...]:
        """The tokens that the vocabulary must have."""
        tokens = (self.cls_token, self.sep_token, self.pad_token, self.unk_token)
        return tuple(token.content for token in tokens)

    def added_tokens(self) -> Iterator[tuple[int, AddedToken]]:
        """Added tokens with their ids, in the order of the ids."""
        special = {*self.required, self.mask_token.content}
        for number, token in sorted(self.added_tokens_decoder.items()):
            fields = token.model_dump(exclude={"special"})
            yield (
                number,
                AddedToken(**fields, special=token.special or token.content in special),
            )


def read_tokenizer_config(directory: Path) -> TokenizerConfig:
    """The files' fields, and defaults for missing fields and files. Raises `BundleError`."""
    fields = {
        **_read_optional(directory / SPECIAL_TOKENS),
        **_read_optional(directory / TOKENIZER_CONFIG),
    }
    older = _read_optional(directory / ADDED_TOKENS)
    if older and "added_tokens_decoder" not in fields:
        fields["added_tokens_decoder"] = {number: content for content, number in older.items()}
    # null is a value for strip_accents; in other fields it is the same as a missing field.
    present = {
        name: value
        for name, value in fields.items()
        if value is not None or name == "strip_accents"
    }
    try:
        return TokenizerConfig.model_validate(present)
    except ValidationError as error:
        raise BundleError(f"{directory / TOKENIZER_CONFIG}: {first_problem(error)}") from None


def _read_optional(path: Path) -> dict[str, Any]:
    return read_json_object(path) if path.is_file() else {}
