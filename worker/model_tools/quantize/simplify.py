"""Spells a graph as the quantizers look for it, whatever the exporter wrote. Computes the same.

Exporters leave weights in Constant nodes and behind Transpose, write a linear layer as a Gemm over
flattened rows, and GELU by its formula. The quantizers look for a MatMul by an initializer and for
Gelu.
"""

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

GELU_OPSET = 20
"""The first opset with GELU as one operator."""

_TOLERANCE = 1e-4
"""Relative, of the constants 1 / 2, 1 and sqrt(2) in the formula of GELU."""


def simplify(model: onnx.ModelProto) -> None:
    """Rewrite `model`: folds weights, splits Gemm, and joins GELU if the opset has it."""
    graph = model.graph
    _fold_weights(graph)
    _split_gemms(graph)
    opset = max(
        (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")),
        default=0,
    )
    if opset >= GELU_OPSET:
        _join_gelus(graph)
    _drop_unused(graph)


def _fold_weights(graph: onnx.GraphProto) -> None:
    """Turn constants, and what is transposed or renamed of them, into initializers."""
    values = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        folded = _fold(node, values)
        if folded is None:
            kept.append(node)
            continue
        folded.name = node.output[0]
        values[folded.name] = folded
        graph.initializer.append(folded)
    del graph.node[:]
    graph.node.extend(kept)


def _fold(node: onnx.NodeProto, values: dict[str, onnx.TensorProto]) -> onnx.TensorProto | None:
    folded = onnx.TensorProto()
    if node.op_type == "Constant" and node.attribute[0].name == "value":
        folded.CopyFrom(node.attribute[0].t)
        return folded
    if not node.input or node.input[0] not in values:
        return None
    if node.op_type == "Identity":
        folded.CopyFrom(values[node.input[0]])
        return folded
    if node.op_type == "Transpose":
        order = next((list(each.ints) for each in node.attribute if each.name == "perm"), None)
        turned = np.transpose(numpy_helper.to_array(values[node.input[0]]), order)
        return numpy_helper.from_array(np.ascontiguousarray(turned), node.output[0])
    return None


def _split_gemms(graph: onnx.GraphProto) -> None:
    """Gemm(x, W, b) of activations and weights to MatMul(x, W') and Add(.., b')."""
    values = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "Gemm" and node.input[1] in values:
            attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
            if not attributes.get("transA"):
                nodes += _as_matmul(graph, node, values, attributes)
                continue
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _as_matmul(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    values: dict[str, onnx.TensorProto],
    attributes: dict[str, float],
) -> Iterator[onnx.NodeProto]:
    output = node.output[0]
    weight = numpy_helper.to_array(values[node.input[1]])
    weight = weight.T if attributes.get("transB") else weight
    _add(graph, f"{output}.weight", weight * weight.dtype.type(attributes.get("alpha", 1.0)))
    bias = node.input[2] if len(node.input) > 2 else ""
    product = f"{output}.product" if bias else output
    yield helper.make_node("MatMul", [node.input[0], f"{output}.weight"], [product], name=product)
    if bias:
        beta = attributes.get("beta", 1.0)
        if beta != 1.0:
            _add(graph, f"{output}.beta", np.asarray(beta, weight.dtype))
            yield helper.make_node("Mul", [bias, f"{output}.beta"], [f"{output}.bias"])
            bias = f"{output}.bias"
        yield helper.make_node("Add", [product, bias], [output], name=output)


def _add(graph: onnx.GraphProto, name: str, tensor: NDArray[np.generic]) -> None:
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(tensor), name))


def _join_gelus(graph: onnx.GraphProto) -> None:
    """x * 0.5 * (1 + Erf(x / sqrt(2))) to Gelu(x), in any order of the factors."""
    makers = {output: node for node in graph.node for output in node.output}
    scalars = {
        tensor.name: float(numpy_helper.to_array(tensor).reshape(()))
        for tensor in graph.initializer
        if np.prod(tensor.dims) == 1 and tensor.data_type == onnx.TensorProto.FLOAT
    }
    joined: dict[str, str] = {}
    for node in graph.node:
        factors = _factors(node.output[0], makers) if node.op_type == "Mul" else []
        values = _gelu_of(factors, makers, scalars)
        if values:
            joined[node.output[0]] = values
    for node in graph.node:
        if node.output[0] in joined:
            values = joined[node.output[0]]
            node.CopyFrom(helper.make_node("Gelu", [values], [node.output[0]], name=node.output[0]))


def _gelu_of(
    factors: list[str], makers: dict[str, onnx.NodeProto], scalars: dict[str, float]
) -> str | None:
    """x, if the factors are x, 1 / 2 and 1 + Erf(x / sqrt(2))."""
    if len(factors) != 3:
        return None
    for values in factors:
        others = [factor for factor in factors if factor is not values]
        halves = [other for other in others if _close(scalars.get(other), 0.5)]
        sums = [other for other in others if _one_plus_erf_of(other, makers, scalars) == values]
        if len(halves) == 1 and len(sums) == 1:
            return values
    return None


def _factors(name: str, makers: dict[str, onnx.NodeProto], depth: int = 2) -> list[str]:
    """The operands of a product of products."""
    node = makers.get(name)
    if node is None or node.op_type != "Mul" or not depth:
        return [name]
    return [factor for operand in node.input for factor in _factors(operand, makers, depth - 1)]


def _one_plus_erf_of(
    name: str, makers: dict[str, onnx.NodeProto], scalars: dict[str, float]
) -> str | None:
    added = makers.get(name)
    if added is None or added.op_type != "Add":
        return None
    terms = [term for term in added.input if not _close(scalars.get(term), 1.0)]
    erf = makers.get(terms[0]) if len(terms) == 1 else None
    scaled = makers.get(erf.input[0]) if erf is not None and erf.op_type == "Erf" else None
    if scaled is None or scaled.op_type not in ("Div", "Mul"):
        return None
    left, right = map(str, scaled.input)
    if scaled.op_type == "Div":
        return left if _close(scalars.get(right), 2**0.5) else None
    if _close(scalars.get(right), 0.5**0.5):
        return left
    return right if _close(scalars.get(left), 0.5**0.5) else None


def _close(value: float | None, expected: float) -> bool:
    return value is not None and abs(value - expected) <= _TOLERANCE * expected


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Nodes and initializers that no output needs."""
    needed = {entry.name for entry in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(_inputs(node))
            kept.append(node)
    tensors = [tensor for tensor in graph.initializer if tensor.name in needed]
    # Old exports list weights among the inputs; unused ones would become required inputs.
    gone = {tensor.name for tensor in graph.initializer} - needed
    inputs = [entry for entry in graph.input if entry.name not in gone]
    del graph.node[:], graph.initializer[:], graph.input[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(tensors)
    graph.input.extend(inputs)


def _inputs(node: onnx.NodeProto) -> Iterator[str]:
    """What a node takes, in its branches and loops too."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _inputs(inner)
        yield from (entry.name for entry in attribute.g.output)
