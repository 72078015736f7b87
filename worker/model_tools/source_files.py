"""Selects the files of a model's repository or directory that make a bundle.

Knows the names that models are published under. Opens no file but modules.json.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from worker.model_tools.manifest_writer import CARDS
from worker.model_tools.sentence_transformers.modules import MODULES, read_modules
from worker.model_tools.sentence_transformers.pooling import DEFAULT_POOLING
from worker.model_tools.sentence_transformers.settings import PROMPTS, TRANSFORMER_CONFIGS
from worker.model_tools.tokenizer.build import VOCABULARY
from worker.model_tools.tokenizer.config import ADDED_TOKENS, SPECIAL_TOKENS, TOKENIZER_CONFIG
from worker.models.bundle import BundleError
from worker.models.manifest import CONFIG, MODEL, TOKENIZER

SAFETENSORS = "model.safetensors"
EXPORTS = (f"onnx/{MODEL}", MODEL)
"""ONNX exports in the precision of the weights. Quantized files beside them, as
`model_quantized.onnx`, do not name their method and are not used."""

ACCEPTED = (*EXPORTS, SAFETENSORS)
"""Files of weights that become a bundle, the preferred one first."""

_OTHERS = (
    CONFIG,
    TOKENIZER,
    TOKENIZER_CONFIG,
    SPECIAL_TOKENS,
    ADDED_TOKENS,
    MODULES,
    DEFAULT_POOLING.config,
    PROMPTS,
    *TRANSFORMER_CONFIGS,
    *CARDS,
)

_PICKLE = "pytorch_model.bin"


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """Names within the repository: the file of the weights, and the other files.

    `alternative` is another file of weights, which can be used if `weights` cannot.
    """

    weights: str
    others: tuple[str, ...]
    alternative: str | None = None

    @property
    def is_export(self) -> bool:
        """Whether the weights are an ONNX graph, which is used unchanged, or must be converted."""
        return self.weights in EXPORTS

    @property
    def checked(self) -> tuple[str, ...]:
        """The other files that are read; cards and licences are only copied."""
        return tuple(name for name in self.others if name not in CARDS)

    def with_weights(self, names: Sequence[str]) -> "SourceFiles":
        """And the files beside the weights that hold a part of them."""
        folder = Path(self.weights).parent
        more = [(folder / name).as_posix() for name in names]
        return replace(self, others=(*self.others, *more))

    def with_modules(self, directory: Path, names: Collection[str]) -> "SourceFiles":
        """And the files of the modules that modules.json in `directory` lists.

        `names` are the files of the repository. Raises `BundleError`.
        """
        modules = read_modules(directory)
        more = [name for name in modules.files(names) if name not in self.others] if modules else []
        return replace(self, others=(*self.others, *more))


def names_in(directory: Path) -> set[str]:
    """Names of the files below `directory`, as a repository would list them."""
    return {
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    }


def select_files(
    names: Collection[str], where: str, accepted: Sequence[str] = ACCEPTED
) -> SourceFiles:
    """The first of the `accepted` weights that is among `names`, and the files that belong to it.

    `where` names the repository or directory in errors. Raises `BundleError`.
    """
    if CONFIG not in names:
        raise BundleError(f"{where}: there is no {CONFIG}")
    if TOKENIZER not in names and VOCABULARY not in names:
        raise BundleError(
            f"{where}: there is no {TOKENIZER} and no {VOCABULARY}; models of the BERT family have "
            f"one of them"
        )
    weights = next((name for name in accepted if name in names), None)
    if weights is None:
        raise BundleError(f"{where}: {_explain_missing_weights(names, accepted)}")
    others = [name for name in _OTHERS if name in names]
    if TOKENIZER not in names:
        others.append(VOCABULARY)
    alternative = SAFETENSORS if weights != SAFETENSORS and SAFETENSORS in names else None
    return SourceFiles(weights, tuple(others), alternative)


def _explain_missing_weights(names: Collection[str], accepted: Sequence[str]) -> str:
    if SAFETENSORS in accepted and _PICKLE in names:
        return (
            f"its weights are a pickle ({_PICKLE}), which can run any code and is not opened; the "
            f"hub's safetensors bot may have put {SAFETENSORS} into a pull request: look there, "
            f"and pull it with --revision refs/pr/N"
        )
    if SAFETENSORS in accepted and f"{SAFETENSORS}.index.json" in names:
        return f"its weights are in several files; only a single {SAFETENSORS} is converted"
    return f"there is no {' or '.join(accepted)}"
