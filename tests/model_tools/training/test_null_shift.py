"""The threshold of the empty answer, moved into the weights."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from worker.model_tools.training.null_shift import WEIGHTS, cls_direction, shift_null


def test_the_shift_is_added_at_cls_and_nowhere_else(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    cls = random.normal(size=(50, 8)) + 5 * np.eye(8)[3]
    others = random.normal(size=(4000, 8))
    others[:, 3] = 0.0
    weights = {
        "qa_outputs.weight": random.normal(size=(2, 8)).astype(np.float32),
        "qa_outputs.bias": np.zeros(2, np.float32),
        "other": np.ones(3, np.float32),
    }
    source, target = tmp_path / "a", tmp_path / "b"
    source.mkdir()
    save_file(weights, source / WEIGHTS)
    (source / "config.json").write_text("{}")

    shift_null(source, target, cls_direction(cls, others), 4.0)

    changed = load_file(target / WEIGHTS)
    np.testing.assert_array_equal(changed["other"], weights["other"])
    assert (target / "config.json").read_text() == "{}"
    for states, expected in ((cls, 2.0), (others, 0.0)):
        difference = (
            states @ (changed["qa_outputs.weight"] - weights["qa_outputs.weight"]).T
            + changed["qa_outputs.bias"]
        )
        assert abs(difference.mean() - expected) < 0.2
        assert difference.std() < 0.5
