"""One onnxruntime session, shared by all threads. The only module that opens a model.

On a CPU each run uses one thread, the caller's: N callers on one session use N cores, share one
copy of the weights, and do not wait for each other. Input and output are plain arrays.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import structlog
from numpy.typing import NDArray

from worker.inference.cpu_features import int8_saturates
from worker.inference.execution_providers import REGISTERED, Provider, ProviderError, absent, choose
from worker.inference.window import Window
from worker.models.bundle import Bundle, BundleError
from worker.models.error_text import first_line
from worker.models.manifest import Task

log = structlog.get_logger(__name__)

INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})
OUTPUTS = {
    Task.QUESTION_ANSWERING: ("start_logits", "end_logits"),
    Task.EMBEDDINGS: ("last_hidden_state",),
}
"""Names of the graph's outputs for each task, in the order of `Outputs`."""

_INTEGERS: dict[str, type[np.signedinteger[Any]]] = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
"""onnxruntime's names of the types that an input may have."""

_SLOWER_ON_A_CPU = ["SkipLayerNormFusion"]
"""Of onnxruntime's rewrites: its fused addition and layer norm takes three times as long on a CPU
as the two operators alone, a fifth of the whole run of an int8 model (onnxruntime 1.31)."""

UNSIGNED_WEIGHTS = "session.x64quantprecision"
"""onnxruntime's setting for x86 processors that would saturate: int8 weights become uint8."""

Outputs = tuple[NDArray[np.float32], ...]
"""Of one window. Question answering: start and end logits, (length,) each. Embeddings: the token
vectors, (length, dims)."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Where the model runs. `callers` is the number of threads that call `run` at the same time."""

    callers: int = 1
    providers: Sequence[Provider] = (Provider.CPU,)
    fallback: bool = False


class OnnxSession:
    """An opened model. `provider` is the first one that took the model."""

    def __init__(self, bundle: Bundle, wanted: SessionOptions) -> None:
        """Raises `BundleError` if the graph does not open or does not match its manifest, and
        `ProviderError` if no provider can run it.
        """
        self.model_file = bundle.model_file
        self._session = _open(bundle, wanted)
        self.provider = _used(self._session, wanted)
        entries = self._session.get_inputs()
        self._inputs = {entry.name: _INTEGERS.get(entry.type, np.int64) for entry in entries}
        # Some exports fix the batch at one window; their windows run one after the other.
        self._single = any(entry.shape and entry.shape[0] == 1 for entry in entries)
        outputs = {entry.name for entry in self._session.get_outputs()}
        check_inputs(bundle.model_file, self._inputs)
        self._outputs = OUTPUTS[bundle.manifest.task]
        if not outputs.issuperset(self._outputs):
            raise BundleError(
                f"{bundle.model_file}: gives {sorted(outputs)}; a model for "
                f"{bundle.manifest.task} gives {list(self._outputs)}"
            )
        self._pad = bundle.manifest.pad_token_id

    def run(self, windows: Sequence[Window]) -> list[Outputs]:
        """Return the outputs of each window, without padding. Blocks the calling thread only.

        Windows are padded on the right to the longest, so the inputs are
        (len(windows), longest) integers.
        """
        if self._single and len(windows) > 1:
            return [self.run([window])[0] for window in windows]
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
        arrays = self._session.run(
            self._outputs,
            {name: feed[name].astype(kind, copy=False) for name, kind in self._inputs.items()},
        )
        if len(self._outputs) > 1:
            # Some exports keep the last axis of a logit, which has one entry.
            arrays = [array[..., 0] if array.shape[2:] == (1,) else array for array in arrays]
        return [
            tuple(array[row, : len(window)].astype(np.float32, copy=False) for array in arrays)
            for row, window in enumerate(windows)
        ]


def check_inputs(model_file: Path, inputs: Collection[str]) -> None:
    """Raises `BundleError` unless a graph with these inputs is of the BERT family."""
    if "input_ids" not in inputs or not INPUTS.issuperset(inputs):
        raise BundleError(
            f"{model_file}: takes {sorted(inputs)}; a BERT-family model takes input_ids and some "
            f"of {sorted(INPUTS - {'input_ids'})}"
        )


def _open(bundle: Bundle, wanted: SessionOptions) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Errors are raised to the caller; silence onnxruntime's logger to avoid duplicates.
    options.log_severity_level = 4
    if int8_saturates():
        options.add_session_config_entry(UNSIGNED_WEIGHTS, "1")
    providers = choose(wanted.providers, ort.get_available_providers(), fallback=wanted.fallback)
    try:
        return ort.InferenceSession(
            str(bundle.model_file),
            options,
            providers=[REGISTERED[provider] for provider in providers],
            provider_options=[_provider_options(provider, wanted) for provider in providers],
            disabled_optimizers=_SLOWER_ON_A_CPU if providers[0] is Provider.CPU else [],
        )
    except Exception as error:
        raise BundleError(f"{bundle.model_file}: {first_line(error)}") from None


def _provider_options(provider: Provider, wanted: SessionOptions) -> dict[str, str]:
    if provider is Provider.OPENVINO:
        # One stream for each caller, one core for each stream: the same shape as on the CPU.
        return {
            "device_type": "CPU",
            "num_streams": str(wanted.callers),
            "num_of_threads": str(wanted.callers),
        }
    return {}


def _used(session: ort.InferenceSession, wanted: SessionOptions) -> Provider:
    """The provider that runs the model.

    onnxruntime only logs that a provider does not load (a driver or a library is missing) and goes
    on without it. Raises `ProviderError` instead, or logs a warning if fallback is allowed.
    """
    by_name = {name: provider for provider, name in REGISTERED.items()}
    running = [by_name[name] for name in session.get_providers() if name in by_name]
    lost = [provider for provider in wanted.providers if provider not in running]
    if lost and not wanted.fallback:
        raise ProviderError(absent(lost[0]))
    if lost:
        log.warning(
            "execution_provider_unavailable", missing=[str(each) for each in lost], used=running[0]
        )
    return running[0]
