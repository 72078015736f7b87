"""Which files of a model's repository or directory make a bundle.

Knows the names that people publish under; looks at names, opens nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.model_tools.errors import ContentsError
from worker.model_tools.manifest_writer import CARDS
from worker.model_tools.pooling_config import MODULES, POOLING
from worker.model_tools.tokenizer.build import VOCABULARY
from worker.models.manifest import CONFIG, MODEL, TOKENIZER

SAFETENSORS = "model.safetensors"
EXPORTS = (f"onnx/{MODEL}", MODEL)
"""Where an export in the weights' own precision stands; `model_quantized.onnx` and the like lie
beside it, made by methods that nobody names."""

_PICKLE = "pytorch_model.bin"

_OTHERS = (
    CONFIG,
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    MODULES,
    POOLING,
    *CARDS,
)


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """Names within the repository: the file of the weights, and all else that is needed."""

    weights: str
    others: tuple[str, ...]

    @property
    def is_export(self) -> bool:
        """An ONNX graph that is taken as it is; else weights to convert."""
        return self.weights in EXPORTS


def names_in(directory: Path) -> set[str]:
    """Names below `directory`, as a repository would list them."""
    return {
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    }


def select_files(
    names: Collection[str], where: str, accepted: Sequence[str] = (*EXPORTS, SAFETENSORS)
) -> SourceFiles:
    """The first of `accepted` that is among `names`, and what belongs to it.

    `where` is for the message. Raises `ContentsError`.
    """
    if CONFIG not in names:
        raise ContentsError(f"{where}: there is no {CONFIG}")
    if TOKENIZER not in names and VOCABULARY not in names:
        raise ContentsError(
            f"{where}: there is no {TOKENIZER} and no {VOCABULARY}, one of which the models of "
            f"the BERT family have"
        )
    weights = next((name for name in accepted if name in names), None)
    if weights is None:
        raise ContentsError(f"{where}: {_why_not(names, accepted)}")
    others = [name for name in _OTHERS if name in names]
    if TOKENIZER not in names and VOCABULARY in names:
        others.append(VOCABULARY)
    return SourceFiles(weights, tuple(others))


def _why_not(names: Collection[str], accepted: Sequence[str]) -> str:
    if SAFETENSORS in accepted and _PICKLE in names:
        return (
            f"its weights are a pickle ({_PICKLE}), which can run any code and is not opened; the "
            f"hub's safetensors bot may have left {SAFETENSORS} in a pull request: look there, "
            f"and take --revision refs/pr/N"
        )
    if SAFETENSORS in accepted and f"{SAFETENSORS}.index.json" in names:
        return f"its weights are in several files; only a single {SAFETENSORS} is converted"
    return f"there is no {' or '.join(accepted)}"
