"""What a model directory says of its tokenizer beside the vocabulary: tokenizer_config.json, and
the files that older models have for special and added tokens.

Knows the fields that matter to BERT's WordPiece, in every form that transformers has written.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, ValidationError
from tokenizers import AddedToken

from worker.model_tools.errors import TokenizerError

CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
ADDED_TOKENS = "added_tokens.json"

_UNLIMITED = 1e9
"""transformers writes 1e30 where it knows no limit."""


class NamedToken(BaseModel):
    """A token as text, or as transformers dumps an `AddedToken`."""

    content: str = Field(min_length=1)
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False
    special: bool = False

    def added(self, *, special: bool) -> AddedToken:
        """The library's form of it."""
        return AddedToken(**self.model_dump(exclude={"special"}), special=special)


def _as_token(value: object) -> object:
    return {"content": value} if isinstance(value, str) else value


Token = Annotated[NamedToken, BeforeValidator(_as_token)]


class TokenizerConfig(BaseModel):
    """Defaults are those of transformers' BertTokenizer, but for case and accents: what is not
    said of them is None here, and the vocabulary tells.
    """

    tokenizer_class: str | None = None
    do_lower_case: bool | None = None
    strip_accents: bool | None = None
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
        """The longest input, special tokens included; None where the files know no limit."""
        limit = self.model_max_length
        return None if limit is None or limit >= _UNLIMITED else int(limit)

    @property
    def required(self) -> tuple[str, ...]:
        """The tokens without which no question can be encoded."""
        tokens = (self.cls_token, self.sep_token, self.pad_token, self.unk_token)
        return tuple(token.content for token in tokens)

    def added_tokens(self) -> Iterator[tuple[int | None, AddedToken]]:
        """Tokens beside the vocabulary's pieces, with their ids where the files give them."""
        roles = {
            token.content: token
            for token in (
                self.pad_token,
                self.unk_token,
                self.cls_token,
                self.sep_token,
                self.mask_token,
            )
        }
        for number, token in sorted(self.added_tokens_decoder.items()):
            yield number, token.added(special=token.special or token.content in roles)
            roles.pop(token.content, None)
        for token in roles.values():
            yield None, token.added(special=True)


def read_tokenizer_config(directory: Path) -> TokenizerConfig:
    """The files' fields; defaults where there are none. Raises `TokenizerError`."""
    fields = {**_read_object(directory / SPECIAL_TOKENS), **_read_object(directory / CONFIG)}
    older = _read_object(directory / ADDED_TOKENS)
    if older and "added_tokens_decoder" not in fields:
        fields["added_tokens_decoder"] = {number: content for content, number in older.items()}
    # A null is a choice for accents alone ("as the case says"), elsewhere a field left out.
    said = {
        name: value
        for name, value in fields.items()
        if value is not None or name == "strip_accents"
    }
    try:
        return TokenizerConfig.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise TokenizerError(f"{directory / CONFIG}: {where}: {first['msg']}") from None


def _read_object(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise TokenizerError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise TokenizerError(f"{path}: not a JSON object")
    return content
