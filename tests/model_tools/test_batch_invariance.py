"""Whether windows may share a run is measured, whatever the operators of the graph are called."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.inference.bundles import SPECIALS, WORDS, bert_tokenizer, tiny_model, write_bundle
from tests.inference.graphs import summing_model, table_model
from tests.model_tools.int8_models import DISTILBERT, wide_weights
from tests.model_tools.tiny_models import Model
from tests.model_tools.word_models import word_bundle
from worker.inference.engine import InferenceEngine
from worker.inference.onnx_session import OnnxSession, SessionOptions
from worker.inference.options import InferenceOptions
from worker.inference.window import Window
from worker.model_tools.build import quantize_bundle, try_bundle
from worker.model_tools.manifest_writer import Provenance
from worker.model_tools.quantize.quantize import Method
from worker.models.bundle import Bundle, BundleError, open_bundle

INPUTS = ("input_ids", "attention_mask")


_RAMP = np.arange(len(SPECIALS) + len(WORDS), dtype=np.float32)


def tried(directory: Path, model: onnx.ModelProto | bytes, **described: Any) -> Bundle:
    """What `qa-worker model add` makes of a graph."""
    content = model if isinstance(model, bytes) else model.SerializeToString()
    words = bert_tokenizer(list(WORDS))
    return try_bundle(write_bundle(directory / "x", model=content, tokenizer=words, **described))


def parsed() -> onnx.ModelProto:
    return onnx.load_from_string(tiny_model())


def answers(bundle: Bundle) -> None:
    with InferenceEngine(bundle, InferenceOptions(threads=1)):
        """The engine's first run has checked shapes and types."""


def in_batch(bundle: Bundle) -> list[list[float]]:
    session = OnnxSession(bundle, SessionOptions())
    windows = [Window(np.full(n, n, np.int64), np.zeros(n, np.int64), 1, 0, n - 2) for n in (4, 9)]
    return [[float(value) for value in outputs[0]] for outputs in session.run(windows)]


def test_float32_with_a_mask_is_batch_invariant(model: Model, tmp_path: Path) -> None:
    weights = dict(model.weights)
    assert word_bundle(tmp_path / "x", model.config, weights).manifest.batch_invariant


def test_graph_that_sees_padding_is_not(tmp_path: Path) -> None:
    # The sums run over the whole row, as attention does in an export without attention_mask.
    model = summing_model("input_ids", "input_ids", inputs=["input_ids"])
    bundle = tried(tmp_path, model, inputs=["input_ids"], pad_token_id=1)
    assert not bundle.manifest.batch_invariant
    assert open_bundle(bundle.directory).manifest == bundle.manifest
    answers(bundle)


@pytest.mark.parametrize(
    ("method", "invariant"), [(Method.PER_TOKEN, True), (Method.DYNAMIC, False)]
)
def test_ranges_over_a_run_are_not(tmp_path: Path, method: Method, invariant: bool) -> None:
    source = word_bundle(tmp_path / "words", DISTILBERT, wide_weights(DISTILBERT))
    built = quantize_bundle(source, tmp_path / "int8", Provenance("int8"), method=method)
    assert built.bundle.manifest.batch_invariant is invariant


def test_difference_by_the_size_of_the_batch_is_noticed(tmp_path: Path) -> None:
    # A mean over the run stands for a kernel that is selected by the number of rows.
    table = np.ones(len(SPECIALS) + len(WORDS))
    model = onnx.load_from_string(table_model(table, table))
    for output in model.graph.output:
        _append(model, output.name, "ReduceMean", keepdims=1)
        _append(model, output.name, "Mul", "input_ids.float")
    cast = helper.make_node("Cast", ["input_ids"], ["input_ids.float"], to=TensorProto.FLOAT)
    model.graph.node.insert(0, cast)
    assert tried(tmp_path, model).manifest.batch_invariant
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(_RAMP, "starts"))
    assert not tried(tmp_path, model).manifest.batch_invariant


def _append(
    model: onnx.ModelProto, output: str, kind: str, *others: str, **attributes: Any
) -> None:
    """One more node before `output`."""
    before = f"{output}.{len(model.graph.node)}"
    (node,) = (each for each in model.graph.node if output in each.output)
    node.output[0] = before
    model.graph.node.append(helper.make_node(kind, [before, *others], [output], **attributes))


def test_batch_fixed_at_one_runs_one_by_one(tmp_path: Path) -> None:
    model = parsed()
    for entry in (*model.graph.input, *model.graph.output):
        entry.type.tensor_type.shape.dim[0].dim_value = 1
    bundle = tried(tmp_path, model)
    answers(bundle)
    assert bundle.manifest.batch_invariant
    assert [len(row) for row in in_batch(bundle)] == [4, 9]


def test_batch_fixed_inside_is_refused(tmp_path: Path) -> None:
    # The inputs' axes have names, but a Reshape has the sizes of one window.
    model = parsed()
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, -1], np.int64), "one"))
    model.graph.node.insert(0, helper.make_node("Reshape", ["input_ids", "one"], ["row"]))
    for node in model.graph.node[1:]:
        node.input[:] = ["row" if name == "input_ids" else name for name in node.input]
    with pytest.raises(BundleError, match="windows in a batch do not run"):
        tried(tmp_path, model)


def test_last_axis_of_one_logit_is_dropped(tmp_path: Path) -> None:
    model = parsed()
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "last"))
    for output in model.graph.output:
        _append(model, output.name, "Unsqueeze", "last")
        output.type.tensor_type.shape.dim.add().dim_value = 1
    bundle = tried(tmp_path, model)
    answers(bundle)
    assert [len(row) for row in in_batch(bundle)] == [4, 9]


def test_inputs_of_int32_are_fed(tmp_path: Path) -> None:
    model = parsed()
    for entry in model.graph.input:
        entry.type.tensor_type.elem_type = TensorProto.INT32
    answers(tried(tmp_path, model))
