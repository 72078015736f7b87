"""The layers of an embedding model that follow the pooling. Pure numpy, in double precision.

No BLAS: its threads would compete with the engine's, and its sums depend on the processor's load.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from worker.models.bundle import Bundle, BundleError
from worker.models.manifest import DenseLayer, LayerNormLayer

Doubles = NDArray[np.float64]

LAYER_NORM_EPSILON = 1e-5
"""Added to the variance: the default of torch, which sentence-transformers does not change."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer and its tensors. Maps a vector of (inputs,) to one of (outputs,)."""

    layer: DenseLayer | LayerNormLayer
    weight: Doubles
    bias: Doubles | None

    @property
    def inputs(self) -> int:
        return int(self.weight.shape[-1])

    @property
    def outputs(self) -> int:
        return int(self.weight.shape[0])

    def __call__(self, vector: Doubles) -> Doubles:
        match self.layer:
            case LayerNormLayer():
                centred = vector - vector.mean()
                scaled = centred / np.sqrt((centred * centred).mean() + LAYER_NORM_EPSILON)
                return self._shifted(scaled * self.weight)
            case DenseLayer():
                product = np.einsum("oi,i->o", self.weight, vector)
                return _activate(self.layer, self._shifted(product))

    def _shifted(self, vector: Doubles) -> Doubles:
        return vector if self.bias is None else vector + self.bias


def load_layers(bundle: Bundle) -> tuple[Layer, ...]:
    """The layers of the bundle's pooling, in order.

    Raises `BundleError` if a file holds no such tensor, or if two layers do not fit together.
    """
    pooling = bundle.manifest.pooling
    layers = tuple(_load(bundle, layer) for layer in (pooling.layers if pooling else ()))
    for before, after in pairwise(layers):
        if before.outputs != after.inputs:
            raise BundleError(
                f"{bundle.directory}: {before.layer.weight} gives {before.outputs} numbers, "
                f"{after.layer.weight} takes {after.inputs}"
            )
    return layers


def _load(bundle: Bundle, layer: DenseLayer | LayerNormLayer) -> Layer:
    weight = _read(bundle, layer.weight)
    bias = _read(bundle, layer.bias) if layer.bias else None
    axes = 2 if isinstance(layer, DenseLayer) else 1
    if weight.ndim != axes or (bias is not None and bias.shape != weight.shape[:1]):
        shapes = [weight.shape, None if bias is None else bias.shape]
        raise BundleError(f"{bundle.directory / layer.weight}: shapes {shapes} are not a layer's")
    return Layer(layer, weight, bias)


def _read(bundle: Bundle, name: str) -> Doubles:
    path = bundle.directory / name
    try:
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: not a numpy file of numbers: {error}") from None


def _activate(layer: DenseLayer, vector: Doubles) -> Doubles:
    match layer.activation:
        case "identity":
            return vector
        case "relu":
            return np.maximum(vector, 0.0)
        case "sigmoid":
            # 1 / (1 + exp(-x)) without an overflow for large negative x.
            return 0.5 * (1.0 + np.tanh(0.5 * vector))
        case "tanh":
            return np.tanh(vector)
