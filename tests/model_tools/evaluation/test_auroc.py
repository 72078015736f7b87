"""Area under the receiver operating characteristic."""

import numpy as np

from worker.model_tools.evaluation.auroc import auroc


def test_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    positive = np.array([True, True, False, False])
    assert auroc(np.array([4.0, 2.0, 3.0, 1.0]), positive) == 0.75
    assert auroc(np.array([1.0, 1.0, 1.0, 1.0]), positive) == 0.5
