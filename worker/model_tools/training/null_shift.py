"""Moves the threshold of the empty answer into the weights, so that it becomes 0.

`python -m worker.model_tools.training.null_shift windows.npz --from DIR --to DIR --shift S` adds S
to the null logit (start and end of [CLS], half each) and about 0 to every other logit. S is minus
the threshold that `qa-worker model calibrate` fitted. Ranks and answers stay nearly the same. The
scores change: a threshold decides between span and empty answer, but leaves the probability of the
empty answer too low. With the shift the probabilities agree with the decision.

The last layer is linear, so the shift is a direction in the hidden states that is 1 at [CLS] and 0
at other tokens: a least-squares fit to windows of training rows.
"""

import argparse
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from worker.model_tools.convert.convert import convert_directory
from worker.model_tools.training.mixture import SHARES, draw
from worker.model_tools.training.window_set import WindowSet

SEED = 7
WINDOWS = 700
CLS_WEIGHT = 20.0
"""Of a [CLS] in the fit; another token has 1. There are about 170 times as many of these."""
RIDGE = 1.0
WEIGHTS = "model.safetensors"
COPIED = ("config.json", "tokenizer.json", "vocab.txt")

Doubles = NDArray[np.float64]


def cls_direction(cls: Doubles, others: Doubles) -> Doubles:
    """The weights and, last, the bias of a linear function that is 1 at [CLS] and 0 elsewhere.

    `cls` (n, width) and `others` (m, width) are hidden states.
    """
    first, rest = _with_ones(cls), _with_ones(others)
    normal = rest.T @ rest + CLS_WEIGHT * first.T @ first + RIDGE * np.eye(first.shape[1])
    solution: Doubles = np.linalg.solve(normal, CLS_WEIGHT * first.sum(axis=0))
    return solution


def _with_ones(states: Doubles) -> Doubles:
    return np.hstack([states, np.ones((len(states), 1))])


def hidden_states(
    directory: Path, windows: Iterable[NDArray[np.uint16]]
) -> tuple[Doubles, Doubles]:
    """What goes into the last layer: at [CLS] (n, width), and at all other tokens (m, width).

    `windows` has the token ids of each.
    """
    graph = convert_directory(directory)
    last = next(node for node in graph.graph.node if "qa_outputs.weight" in node.input)
    graph.graph.output.append(
        onnx.helper.make_tensor_value_info(last.input[0], onnx.TensorProto.FLOAT, None)
    )
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    cls, others = [], []
    for tokens in windows:
        ids = tokens.astype(np.int64)[None]
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        ((states,),) = session.run([last.input[0]], feeds)
        cls.append(states[0])
        others.append(states[1:])
    return np.array(cls, np.float64), np.concatenate(others).astype(np.float64)


def shift_null(source: Path, target: Path, direction: Doubles, shift: float) -> None:
    """Write the weights of `source` with the shift along `direction`, and the files beside them."""
    weights = load_file(source / WEIGHTS)
    for name, change in (
        ("qa_outputs.weight", direction[None, :-1]),
        ("qa_outputs.bias", direction[-1]),
    ):
        weights[name] = (weights[name] + shift / 2 * change).astype(weights[name].dtype)
    target.mkdir(parents=True, exist_ok=True)
    save_file(weights, target / WEIGHTS, metadata={"format": "pt"})
    for name in COPIED:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("windows", type=Path, help="what training.window_set wrote")
    parser.add_argument("--from", dest="source", type=Path, required=True, metavar="DIR")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--shift", type=float, required=True, help="added to the null logit")
    arguments = parser.parse_args()
    windows = WindowSet.load(arguments.windows)
    drawn = next(draw(windows.groups, SHARES, WINDOWS, np.random.default_rng(SEED)))
    cls, others = hidden_states(
        arguments.source,
        (windows.ids[windows.begins[number] : windows.begins[number + 1]] for number in drawn),
    )
    direction = cls_direction(cls, others)
    spread = _with_ones(others) @ direction
    print(f"{len(cls)} windows; other tokens get {spread.mean():.4f} ± {spread.std():.4f} of it")  # noqa: T201
    shift_null(arguments.source, arguments.to, direction, arguments.shift)


if __name__ == "__main__":
    main()
