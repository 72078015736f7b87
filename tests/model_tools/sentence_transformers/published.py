"""The files of sentence-transformers beside an encoder's, with random weights."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

PACKAGE = "sentence_transformers.models."


@dataclass(frozen=True)
class DenseModule:
    """`more` are keys of its configuration."""

    in_features: int
    out_features: int
    bias: bool = True
    activation: str = "torch.nn.modules.activation.Tanh"
    more: tuple[tuple[str, Any], ...] = ()

    @property
    def tensors(self) -> dict[str, NDArray[np.float32]]:
        random = np.random.default_rng(self.out_features)
        tensors = {"linear.weight": random.standard_normal((self.out_features, self.in_features))}
        if self.bias:
            tensors["linear.bias"] = random.standard_normal(self.out_features)
        return {name: values.astype(np.float32) for name, values in tensors.items()}

    @property
    def files(self) -> dict[str, bytes]:
        config = {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.bias,
            "activation_function": self.activation,
            **dict(self.more),
        }
        return {"config.json": json.dumps(config).encode(), "model.safetensors": save(self.tensors)}


@dataclass(frozen=True)
class LayerNormModule:
    dimension: int

    @property
    def tensors(self) -> dict[str, NDArray[np.float32]]:
        random = np.random.default_rng(self.dimension)
        shape = (self.dimension,)
        return {
            "norm.weight": random.standard_normal(shape).astype(np.float32) + np.float32(1),
            "norm.bias": random.standard_normal(shape).astype(np.float32),
        }

    @property
    def files(self) -> dict[str, bytes]:
        config = {"dimension": self.dimension}
        return {"config.json": json.dumps(config).encode(), "model.safetensors": save(self.tensors)}


def sentence_transformers(
    *, package: str = PACKAGE, transformer: str = "", **modules: Any
) -> dict[str, bytes]:
    """modules.json and the folders: modules by the name of their class, in their order.

    A Pooling is given as its mode or as the fields of its configuration, Dense and LayerNorm as
    their modules, others as None. A digit at the end of a name is left out of the class.
    """
    entries = [{"idx": 0, "name": "0", "path": transformer, "type": f"{package}Transformer"}]
    files: dict[str, bytes] = {}
    for number, (name, module) in enumerate(modules.items(), 1):
        folder, kind = f"{number}_{name}", name.rstrip("0123456789")
        entries.append({"idx": number, "name": str(number), "path": folder, "type": package + kind})
        if isinstance(module, DenseModule | LayerNormModule):
            files |= {f"{folder}/{file}": content for file, content in module.files.items()}
        elif module is not None:
            fields = module if isinstance(module, dict) else {f"pooling_mode_{module}_token": True}
            if module == "mean":
                fields = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
            files[f"{folder}/config.json"] = json.dumps(fields).encode()
    return {"modules.json": json.dumps(entries).encode(), **files}
