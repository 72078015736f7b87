"""One onnxruntime session, shared by all threads. The only module that imports onnxruntime.

Each run uses one thread, the caller's: N callers on one session use N cores, share one copy of
the weights, and wait for nobody. Input and output are plain arrays.
"""

from collections.abc import Sequence

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from worker.reading.bundle import Bundle, BundleError
from worker.reading.windows import Window

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
_OUTPUTS = ["start_logits", "end_logits"]

Logits = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Start and end logits of one window, (length,) each."""


class Session:
    """An opened model."""

    def __init__(self, bundle: Bundle) -> None:
        """Raises `BundleError` where the graph does not open or is no QA model."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        # What fails is raised, and reported by whoever asked; a log of its own would be a second.
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(
                str(bundle.model_file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise BundleError(f"{bundle.model_file}: {str(error).splitlines()[0]}") from None
        self._inputs = {entry.name for entry in self._session.get_inputs()}
        outputs = {entry.name: entry.type for entry in self._session.get_outputs()}
        if "input_ids" not in self._inputs or not self._inputs <= _INPUTS:
            raise BundleError(
                f"{bundle.model_file}: takes {sorted(self._inputs)}; a BERT-family model takes "
                f"input_ids and some of {sorted(_INPUTS - {'input_ids'})}"
            )
        if not set(_OUTPUTS) <= outputs.keys():
            raise BundleError(
                f"{bundle.model_file}: gives {sorted(outputs)}; a model for extractive question "
                f"answering gives {_OUTPUTS}"
            )
        self._pad = bundle.pad_token_id
        dtype = "float16" if outputs["start_logits"] == "tensor(float16)" else "float32"
        self.precision = "int8" if bundle.quantized else dtype

    def run(self, windows: Sequence[Window]) -> list[Logits]:
        """The logits of each window, padding cut off. Blocks the calling thread only.

        Windows are padded on the right to the longest, so the inputs are
        (len(windows), longest) int64.
        """
        longest = max(len(window) for window in windows)
        shape = (len(windows), longest)
        ids = np.full(shape, self._pad, dtype=np.int64)
        types = np.zeros(shape, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for row, window in enumerate(windows):
            ids[row, : len(window)] = window.ids
            types[row, : len(window)] = window.types
            mask[row, : len(window)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        starts, ends = self._session.run(_OUTPUTS, {name: feed[name] for name in self._inputs})
        return [
            (
                starts[row, : len(window)].astype(np.float32, copy=False),
                ends[row, : len(window)].astype(np.float32, copy=False),
            )
            for row, window in enumerate(windows)
        ]
