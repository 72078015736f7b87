"""A bundle read in the calling thread, one window a run: no queue, no batches, and the outputs of
the model beside the outcome. For whoever measures; the worker reads with `reader`.
"""

from dataclasses import dataclass
from typing import Any

from schemas.event import Event, Outcome
from schemas.rejection import Rejected
from worker.inference.onnx_session import OnnxSession, Outputs, SessionOptions
from worker.inference.options import InferenceOptions
from worker.inference.tasks import create_task_adapter
from worker.inference.window import Window
from worker.models.bundle import Bundle


@dataclass(frozen=True, slots=True)
class UnbatchedResult:
    """What came of an event, and the windows it came from with the outputs of each."""

    outcome: Outcome | Rejected
    windows: tuple[Window, ...] = ()
    outputs: tuple[Outputs, ...] = ()


class UnbatchedReader:
    """Any number of threads may call `read`."""

    def __init__(self, bundle: Bundle, defaults: InferenceOptions) -> None:
        """Raises `BundleError` and `ProviderError`."""
        manifest = bundle.manifest
        limit = min(defaults.max_tokens or manifest.max_tokens, manifest.max_tokens)
        self.bundle = bundle
        self.session = OnnxSession(
            bundle,
            SessionOptions(defaults.threads, defaults.providers, defaults.provider_fallback),
        )
        self._task = create_task_adapter(bundle, defaults, max_tokens=limit)
        self._model = bundle.model_info(self.session.provider)

    def cut(self, event: Event[Any]) -> list[Window]:
        """The windows that `read` runs. Raises `Rejected`."""
        job = self._task.make(event)
        job.preprocess()
        return job.windows

    def read(self, event: Event[Any]) -> UnbatchedResult:
        """Rejections are outcomes. Raises what the model raises."""
        job = self._task.make(event)
        try:
            job.preprocess()
        except Rejected as rejected:
            return UnbatchedResult(rejected)
        outputs = [self.session.run([window])[0] for window in job.windows]
        for index, output in enumerate(outputs):
            job.add_output(index, output)
        return UnbatchedResult(job.postprocess(self._model), tuple(job.windows), tuple(outputs))
