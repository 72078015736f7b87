"""Which tensors a model has: their place in our graph, their name in the file, their shape.

Knows Hugging Face's names for DistilBERT and BERT, old and new; reads no weights.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from worker.model_tools.convert.architecture import Architecture, Family
from worker.models.bundle import BundleError
from worker.models.manifest import Task


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the file. A linear layer's weight is (outputs, inputs) there."""

    place: str
    """Our name: `layer.3.ffn.up.weight`."""
    stored: str
    """The file's, without the family's prefix: `transformer.layer.3.ffn.lin1.weight`."""
    shape: tuple[int, ...]

    @property
    def is_matrix(self) -> bool:
        """Of a linear layer: tables of embeddings have no `.weight` in their place."""
        return len(self.shape) == 2 and self.place.endswith(".weight")


# A place in a layer to its name in the file, behind the layer's number.
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

# Names that training leaves behind and neither task uses: the heads of masked words and of the
# next sentence, BERT's pooler, and buffers that hold 0, 1, 2, ….
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
    """The file's names, keyed by what today's library calls the same tensor in the bare encoder.

    Models saved with a head have the family's prefix, old ones TensorFlow's words for the
    parameters of a layer norm. Raises `BundleError` where two become one.
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
    """What the model was trained for, by its heads: `plain` are its tensors' plain names."""
    return Task.QUESTION_ANSWERING if "qa_outputs.weight" in plain else Task.EMBEDDINGS


def check_names(plain: Iterable[str], tensors: Iterable[Tensor]) -> None:
    """Raises `BundleError` for the tensors that are missing and for those that are too many.

    A tensor that we have no use for is refused and not just left out: it may be the head of
    another task (`classifier.weight`) or part of a computation that we know nothing of (an
    adapter), and without it the graph would run and be wrong.
    """
    found, expected = set(plain), {tensor.stored for tensor in tensors}
    if missing := expected - found:
        raise BundleError(f"the weights lack {_some(missing)}")
    if unknown := {name for name in found - expected if not name.startswith(_UNUSED)}:
        raise BundleError(f"the converter has no place for {_some(unknown)}")


def expected_tensors(architecture: Architecture, task: Task) -> list[Tensor]:
    """Everything that the graph is made of, in the order of computation."""
    return list(_tensors(architecture, task))


def _tensors(architecture: Architecture, task: Task) -> Iterator[Tensor]:
    width, hidden = architecture.width, architecture.hidden
    tables = {
        "words": ("word", architecture.vocabulary),
        "token_types": ("token_type", architecture.token_types),
        "positions": ("position", architecture.positions),
    }
    for place, (word, rows) in tables.items():
        if rows:
            stored = f"embeddings.{word}_embeddings.weight"
            yield Tensor(f"embeddings.{place}", stored, (rows, width))
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
        stored = f"{_LAYERS[architecture.family]}.{layer}"
        for place, shape in shapes.items():
            yield from _pair(f"layer.{layer}.{place}", f"{stored}.{names[place]}", shape)
    if task is Task.QUESTION_ANSWERING:
        yield from _pair("qa_outputs", "qa_outputs", (2, width))


def _pair(place: str, stored: str, shape: tuple[int, ...]) -> Iterator[Tensor]:
    """A weight and its bias, which has one value for each row of the weight."""
    yield Tensor(f"{place}.weight", f"{stored}.weight", shape)
    yield Tensor(f"{place}.bias", f"{stored}.bias", shape[:1])


def _some(names: set[str], most: int = 3) -> str:
    """The first of them, and how many more."""
    first = ", ".join(sorted(names)[:most])
    return first if len(names) <= most else f"{first} and {len(names) - most} more"
