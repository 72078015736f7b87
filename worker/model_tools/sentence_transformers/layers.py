"""Reads Dense and LayerNorm of sentence-transformers, and writes their weights into a bundle.

Knows the keys and defaults of the modules' `config.json` (sentence-transformers 5). Refuses every
value that the worker would not compute as sentence-transformers does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from worker.model_tools.convert.weights import Floats, SafetensorsFile
from worker.model_tools.json_files import read_json_object
from worker.model_tools.sentence_transformers.modules import Module
from worker.models.bundle import BundleError
from worker.models.manifest import DenseLayer, LayerNormLayer, Pooling

_ACTIVATIONS: dict[str, Literal["identity", "relu", "sigmoid", "tanh"]] = {
    "torch.nn.modules.linear.Identity": "identity",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
    "torch.nn.modules.activation.Tanh": "tanh",
}
_DEFAULT_ACTIVATION = "torch.nn.modules.activation.Tanh"

# Other values change what the layer reads, computes or writes.
_MUST_BE = {
    "module_input_name": "sentence_embedding",
    "module_output_name": "sentence_embedding",
    "use_residual": False,
}
_SIZES = ("in_features", "out_features", "bias", "activation_function")


def read_layer(directory: Path, module: Module) -> DenseLayer | LayerNormLayer:
    """The layer by its configuration; the files that it names are written by `write_layers`.

    Raises `BundleError`.
    """
    path = directory / module.config
    if not path.is_file():
        raise BundleError(f"{path} is missing; {module.kind} needs it")
    weight, bias = f"{module.folder}.weight.npy", f"{module.folder}.bias.npy"
    config = read_json_object(path)
    if module.kind == "LayerNorm":
        _refuse_unknown(path, config, ("dimension",))
        return LayerNormLayer(weight=weight, bias=bias)
    for key, expected in _MUST_BE.items():
        if (value := config.get(key)) is not None and value != expected:
            raise BundleError(f"{path}: {key} is {value!r}; only {expected!r} is supported")
    _refuse_unknown(path, config, (*_SIZES, *_MUST_BE))
    activation = config.get("activation_function") or _DEFAULT_ACTIVATION
    if activation not in _ACTIVATIONS:
        known = ", ".join(name.rpartition(".")[2] for name in _ACTIVATIONS)
        raise BundleError(f"{path}: activation_function is {activation}; supported are {known}")
    return DenseLayer(
        weight=weight,
        bias=bias if config.get("bias", True) else None,
        activation=_ACTIVATIONS[activation],
    )


def write_layers(source: Path, target: Path, pooling: Pooling | None) -> None:
    """Write the weights of the pooling's layers into the bundle `target`, as float32.

    `source` is the model's directory. Raises `BundleError`, `OSError`.
    """
    for layer in pooling.layers if pooling else ():
        prefix = "norm" if isinstance(layer, LayerNormLayer) else "linear"
        names = {f"{prefix}.weight": layer.weight}
        if layer.bias:
            names[f"{prefix}.bias"] = layer.bias
        module = Module(layer.kind, layer.weight.removesuffix(".weight.npy"))
        for name, values in _read_weights(source, module, names).items():
            np.save(target / names[name], values, allow_pickle=False)


def _read_weights(source: Path, module: Module, names: Mapping[str, str]) -> dict[str, Floats]:
    path = source / module.weights
    if not path.is_file():
        found = f"; {module.pickle} is a pickle, which can run any code and is not opened"
        raise BundleError(f"{path} is missing{found if (source / module.pickle).is_file() else ''}")
    with SafetensorsFile(path) as tensors:
        if set(tensors) != set(names):
            raise BundleError(
                f"{path}: holds {', '.join(sorted(tensors)) or 'nothing'}; needed are "
                f"{', '.join(sorted(names))}"
            )
        return {name: tensors[name] for name in names}


def _refuse_unknown(path: Path, config: Mapping[str, Any], known: tuple[str, ...]) -> None:
    if unknown := sorted(set(config) - set(known)):
        raise BundleError(f"{path}: {', '.join(unknown)} is not known")
