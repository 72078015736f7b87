"""Int8 methods that the worker does not use, for comparison in the table of `precision.py`.

`smoothed`: SmoothQuant (Xiao et al., 2022), equation 4: activations are divided and weights
multiplied by max|x|^a / max|w|^(1-a) for each input channel, a = 0.8; then one scale for a whole
run. With `static`, ranges are fixed beforehand. Both need texts for calibration. `blocks`: only
weights have 8 bits, in blocks of 128 (MatMulNBits), by onnxruntime's tool.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from worker.inference.window import Window
from worker.model_tools.quantize.layers import Floats, Linear, linear_layers
from worker.model_tools.quantize.per_token import MICROSOFT

ALPHA = 0.8
_TINY = 1e-5


def blocks(source: Path, target: Path) -> None:
    """Quantizes `source` to 8-bit weights in blocks of 128, with int8 arithmetic."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(
        onnx.load(source), bits=8, block_size=128, is_symmetric=True, accuracy_level=4
    )
    quantizer.process()
    quantizer.model.save_model_to_file(str(target))


def smoothed(source: Path, target: Path, windows: Sequence[Window], *, static: bool) -> None:
    """Quantizes `source` by SmoothQuant, calibrated on `windows`."""
    model = onnx.load(source)
    layers = {layer.node.output[0]: layer for layer in linear_layers(model)}
    lows, highs = _channel_ranges(
        source, sorted({layer.values for layer in layers.values()}), windows
    )
    nodes: list[onnx.NodeProto] = []
    tensors: list[onnx.TensorProto] = []
    divisors: dict[str, Floats] = {}

    def tensor(name: str, values: NDArray[np.generic]) -> str:
        tensors.append(numpy_helper.from_array(values, name))
        return name

    def quantize(values: str) -> None:
        consumers = [layer for layer in layers.values() if layer.values == values]
        divisor = _divisor(lows[values], highs[values], consumers)
        divisors[values] = divisor
        factor = tensor(f"{values}.factor", 1 / divisor)
        smooth = f"{values}.smooth"
        nodes.append(helper.make_node("Mul", [values, factor], [smooth], name=smooth))
        names = [f"{values}.int8", f"{values}.scale", f"{values}.zero"]
        if not static:
            nodes.append(helper.make_node("DynamicQuantizeLinear", [smooth], names, name=names[0]))
            return
        low = min(0.0, float((lows[values] / divisor).min()))
        scale = (max(0.0, float((highs[values] / divisor).max())) - low) / 255
        tensor(names[1], np.asarray(np.float32(scale)))
        tensor(names[2], np.asarray(np.uint8(round(-low / scale))))
        nodes.append(
            helper.make_node("QuantizeLinear", [smooth, *names[1:]], names[:1], name=names[0])
        )

    for node in model.graph.node:
        layer = layers.get(node.output[0])
        if layer is None:
            nodes.append(node)
            continue
        if layer.values not in divisors:
            quantize(layer.values)
        weight = layer.weight * divisors[layer.values][:, None]
        steps = np.abs(weight).max(axis=0) / 127
        name = layer.weight_name
        product = [
            f"{layer.values}.int8",
            tensor(f"{name}.int8", np.rint(weight / steps).astype(np.int8)),
            f"{layer.values}.scale",
            tensor(f"{name}.steps", steps.astype(np.float32)),
            f"{layer.values}.zero",
        ]
        nodes.append(
            helper.make_node(
                "MatMulIntegerToFloat", product, list(node.output), name=node.name, domain=MICROSOFT
            )
        )
    used = {name for node in nodes for name in node.input}
    tensors.extend(tensor for tensor in model.graph.initializer if tensor.name in used)
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(tensors)
    model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    onnx.save(model, target)


def _divisor(low: Floats, high: Floats, layers: Sequence[Linear]) -> Floats:
    activations = np.maximum(np.maximum(-low, high), _TINY)
    largest = np.max([np.abs(layer.weight).max(axis=1) for layer in layers], axis=0)
    divisor: Floats = (activations**ALPHA / np.maximum(largest, _TINY) ** (1 - ALPHA)).astype(
        np.float32
    )
    return divisor


def _channel_ranges(
    source: Path, names: Sequence[str], windows: Sequence[Window]
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Returns the smallest and the largest value of each channel, by name of the values."""
    model = onnx.load(source)
    for name in names:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    lows: dict[str, Floats] = {}
    highs: dict[str, Floats] = {}
    for window in windows:
        ids = window.ids[None]
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        for name, values in zip(names, session.run(names, feed), strict=True):
            rows = values.reshape(-1, values.shape[-1])
            lows[name] = np.minimum(lows.get(name, rows[0]), rows.min(axis=0))
            highs[name] = np.maximum(highs.get(name, rows[0]), rows.max(axis=0))
    return lows, highs
