"""The tensors of a model: their name in our graph, their name in the checkpoint, their shape.

Knows Hugging Face's names for DistilBERT and BERT, old and new. Reads no weights.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from worker.model_tools.convert.architecture import Architecture, Family
from worker.models.bundle import BundleError
from worker.models.manifest import Task


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the checkpoint, where a linear layer's weight is (outputs, inputs)."""

    name: str
    """In our graph: `layer.3.ffn.up.weight`."""
    checkpoint_name: str
    """In the file, without the family's prefix: `transformer.layer.3.ffn.lin1.weight`."""
    shape: tuple[int, ...]

    @property
    def is_matrix(self) -> bool:
        """Whether this is a linear layer's weight; names of embedding tables lack `.weight`."""
        return len(self.shape) == 2 and self.name.endswith(".weight")


# A name in our layers to the checkpoint's, after the layer's number.
_LAYER = {
    Family.DISTILBERT: {
        "attention.query": "attention.q_lin",
        "attention.key": "attention.k_lin",
        "attention.value": "attention.v_lin",
        "attention.output": "attention.out_lin",
        "attention.norm": "sa_layer_norm",
        "ffn.up": "ffn.lin1",
        "ffn.down": "ffn.lin2",
        "ffn.norm": "output_layer_norm",
    },
    Family.BERT: {
        "attention.query": "attention.self.query",
        "attention.key": "attention.self.key",
        "attention.value": "attention.self.value",
        "attention.output": "attention.output.dense",
        "attention.norm": "attention.output.LayerNorm",
        "ffn.up": "intermediate.dense",
        "ffn.down": "output.dense",
        "ffn.norm": "output.LayerNorm",
    },
}
_LAYERS = {Family.DISTILBERT: "transformer.layer", Family.BERT: "encoder.layer"}

# Left from training and used by neither task: the heads for masked words and the next sentence,
# BERT's pooler, and buffers that hold 0, 1, 2, ….
_UNUSED = (
    "cls.predictions.",
    "cls.seq_relationship.",
    "embeddings.position_ids",
    "embeddings.token_type_ids",
    "pooler.dense.",
    "vocab_layer_norm.",
    "vocab_projector.",
    "vocab_transform.",
)


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """The file's names, keyed by the names of the current library for a bare encoder.

    Models saved with a head have the family's prefix, and old models have TensorFlow's names for
    the parameters of a layer norm. Raises `BundleError` if two names become one.
    """
    plain: dict[str, str] = {}
    for name in names:
        bare = name.removeprefix("distilbert.").removeprefix("bert.")
        for old, new in (("LayerNorm.gamma", "weight"), ("LayerNorm.beta", "bias")):
            if bare.endswith(old):
                bare = bare.removesuffix(old) + f"LayerNorm.{new}"
        if bare in plain:
            raise BundleError(f"the weights hold one tensor twice: {plain[bare]} and {name}")
        plain[bare] = name
    return plain


def find_task(plain: Iterable[str]) -> Task:
    """The task, from the heads among the plain names."""
    return Task.QUESTION_ANSWERING if "qa_outputs.weight" in plain else Task.EMBEDDINGS


def check_names(plain: Iterable[str], tensors: Iterable[Tensor]) -> None:
    """Raise `BundleError` for missing and for unknown tensors.

    An unknown tensor may be the head of another task (`classifier.weight`) or part of an unknown
    computation (an adapter). Without it the graph would run and give wrong results.
    """
    found, expected = set(plain), {tensor.checkpoint_name for tensor in tensors}
    if missing := expected - found:
        raise BundleError(f"the weights lack {_some(missing)}")
    if unknown := {name for name in found - expected if not name.startswith(_UNUSED)}:
        raise BundleError(f"the converter does not know {_some(unknown)}")


def expected_tensors(architecture: Architecture, task: Task) -> list[Tensor]:
    """All tensors of the graph, in the order of computation."""
    return list(_tensors(architecture, task))


def _tensors(architecture: Architecture, task: Task) -> Iterator[Tensor]:
    width, hidden = architecture.width, architecture.hidden
    tables = {
        "words": ("word", architecture.vocabulary),
        "token_types": ("token_type", architecture.token_types),
        "positions": ("position", architecture.positions),
    }
    for name, (word, rows) in tables.items():
        if rows:
            checkpoint_name = f"embeddings.{word}_embeddings.weight"
            yield Tensor(f"embeddings.{name}", checkpoint_name, (rows, width))
    yield from _pair("embeddings.norm", "embeddings.LayerNorm", (width,))
    shapes: dict[str, tuple[int, ...]] = {
        "attention.query": (width, width),
        "attention.key": (width, width),
        "attention.value": (width, width),
        "attention.output": (width, width),
        "attention.norm": (width,),
        "ffn.up": (hidden, width),
        "ffn.down": (width, hidden),
        "ffn.norm": (width,),
    }
    names = _LAYER[architecture.family]
    for layer in range(architecture.layers):
        prefix = f"{_LAYERS[architecture.family]}.{layer}"
        for name, shape in shapes.items():
            yield from _pair(f"layer.{layer}.{name}", f"{prefix}.{names[name]}", shape)
    if task is Task.QUESTION_ANSWERING:
        yield from _pair("qa_outputs", "qa_outputs", (2, width))


def _pair(name: str, checkpoint_name: str, shape: tuple[int, ...]) -> Iterator[Tensor]:
    """A weight and its bias, which has one value for each row of the weight."""
    yield Tensor(f"{name}.weight", f"{checkpoint_name}.weight", shape)
    yield Tensor(f"{name}.bias", f"{checkpoint_name}.bias", shape[:1])


def _some(names: set[str], most: int = 3) -> str:
    """The first names, and the number of the others."""
    first = ", ".join(sorted(names)[:most])
    return first if len(names) <= most else f"{first} and {len(names) - most} more"
