"""Quantizes a float32 graph to int8.

Checks the graph and selects the method: `per_token`, or onnxruntime's dynamic quantization.
"""

import tempfile
from enum import StrEnum
from pathlib import Path

import onnx
from onnx import version_converter

from worker.model_tools.graph_info import inspect_graph
from worker.model_tools.quantize.layers import linear_layers
from worker.model_tools.quantize.per_token import quantize_per_token
from worker.model_tools.quantize.simplify import simplify
from worker.models.bundle import BundleError

OPSET = 20
"""Older graphs are converted to this opset, the one of our converter."""


class Method(StrEnum):
    """The scales of activations; weights always have a scale for each column."""

    PER_TOKEN = "per-token"  # noqa: S105
    """One for each token: most exact, and a window's outputs do not depend on the batch."""
    DYNAMIC = "dynamic"
    """One for all tokens of a run: `onnxruntime.quantization.quantize_dynamic`."""


def quantize_file(source: Path, target: Path, method: Method) -> None:
    """Write `source`'s graph to `target` in int8. Raises `BundleError`, `OSError`."""
    precision = inspect_graph(source).precision
    if precision != "float32":
        raise BundleError(f"{source}: is {precision}; only float32 is quantized")
    model = onnx.load(source)
    if method is Method.PER_TOKEN:
        model = _at_opset(model, source)
    simplify(model)
    if not linear_layers(model):
        raise BundleError(f"{source}: has no linear layer to quantize")
    if method is Method.PER_TOKEN:
        onnx.save(quantize_per_token(model), target)
    else:
        _quantize_dynamic(model, source, target)


def describe(method: Method) -> str:
    """The manifest's description of a method."""
    return {
        Method.PER_TOKEN: "int8 weights per column, activations per token",
        Method.DYNAMIC: "int8 weights per column, activations per run",
    }[method]


def _at_opset(model: onnx.ModelProto, source: Path) -> onnx.ModelProto:
    opset = max(
        (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")),
        default=OPSET,
    )
    if opset >= OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise BundleError(
            f"{source}: cannot be converted from opset {opset} to {OPSET} ({reason}); export it "
            f"with opset {OPSET}, or use --method dynamic"
        ) from None


def _quantize_dynamic(model: onnx.ModelProto, source: Path, target: Path) -> None:
    """Raises `BundleError` for a graph that onnxruntime's tool cannot quantize."""
    # The import takes a second.
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch, "model.onnx")
        try:
            quantize_dynamic(
                model,
                result,
                per_channel=True,
                weight_type=QuantType.QInt8,
                # Behind operators of onnxruntime's own the tool infers no types; the weights that
                # are quantized are of this one.
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
            )
        except Exception as error:
            reason = " ".join(str(error).split())
            raise BundleError(
                f"{source}: onnxruntime does not quantize it ({reason}); use --method per-token"
            ) from None
        onnx.save(onnx.load(result), target)
