"""Reads what sentence-transformers does to a text before the tokenizer, and where it ends a text.

Knows `sentence_bert_config.json` and `config_sentence_transformers.json`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, ValidationError

from worker.model_tools.json_files import read_json_object
from worker.models.bundle import BundleError
from worker.models.error_text import first_problem

PROMPTS = "config_sentence_transformers.json"
TRANSFORMER_CONFIGS = (
    "sentence_bert_config.json",
    "sentence_distilbert_config.json",
    "sentence_roberta_config.json",
)
"""Of the Transformer module; which name is used depends on the version that saved the model."""

T = TypeVar("T", bound=BaseModel)

_SHOWN = 40
"""Characters of a prompt in a note."""


class _Transformer(BaseModel, extra="allow"):
    max_seq_length: int | None = Field(None, ge=8)
    do_lower_case: bool = False
    transformer_task: str = "feature-extraction"


class _Prompts(BaseModel):
    prompts: dict[str, str] = {}
    default_prompt_name: str | None = None


@dataclass(frozen=True, slots=True)
class TextSettings:
    """max_tokens is None without a limit; lowercase says that texts are lower-cased first."""

    max_tokens: int | None = None
    lowercase: bool = False
    notes: tuple[str, ...] = ()


def read_text_settings(directory: Path) -> TextSettings:
    """The settings of the directory's files; the defaults without them. Raises `BundleError`."""
    notes = _prompt_notes(directory)
    for name in TRANSFORMER_CONFIGS:
        path = directory / name
        if path.is_file():
            found = _parse(path, _Transformer)
            if found.transformer_task != "feature-extraction":
                raise BundleError(
                    f"{path}: transformer_task is {found.transformer_task!r}; only "
                    "'feature-extraction' is supported"
                )
            unused = sorted(key for key, value in (found.model_extra or {}).items() if value)
            if unused:
                notes += (f"{name}: {', '.join(unused)} is not used",)
            return TextSettings(found.max_seq_length, found.do_lower_case, notes)
    return TextSettings(notes=notes)


def _prompt_notes(directory: Path) -> tuple[str, ...]:
    """A note on prompts. Raises `BundleError` if sentence-transformers adds one by default."""
    path = directory / PROMPTS
    if not path.is_file():
        return ()
    found = _parse(path, _Prompts)
    name = found.default_prompt_name
    if name and found.prompts.get(name, "") != "":
        raise BundleError(
            f"{path}: default_prompt_name is {name!r}, whose text "
            f"{found.prompts[name][:_SHOWN]!r} goes before every text; the worker sends texts as "
            "they are: set it to null, and send texts with their prompts"
        )
    prompts = {key: text for key, text in found.prompts.items() if text}
    if not prompts:
        return ()
    shown = ", ".join(f"{key}: {text[:_SHOWN]!r}" for key, text in prompts.items())
    return (
        f"{PROMPTS} has prompts ({shown}), which the worker does not add: send texts with them",
    )


def _parse(path: Path, model: type[T]) -> T:
    try:
        return model.model_validate(
            {key: value for key, value in read_json_object(path).items() if value is not None}
        )
    except ValidationError as error:
        raise BundleError(f"{path}: {first_problem(error)}") from None
