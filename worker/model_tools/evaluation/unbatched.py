"""Runs a bundle in the calling thread, one window at a time, and returns the model's outputs too.

For measurements. The worker uses `worker.inference.engine`, which batches windows.
"""

from dataclasses import dataclass
from typing import Any

from schemas.event import Event, Outcome
from schemas.rejection import Rejected
from worker.inference.job import Job
from worker.inference.onnx_session import OnnxSession, Outputs, SessionOptions
from worker.inference.options import InferenceOptions
from worker.inference.tasks import create_task_adapter
from worker.inference.window import Window
from worker.models.bundle import Bundle


@dataclass(frozen=True, slots=True)
class UnbatchedResult:
    """The outcome of an event, its windows, and the outputs of each window."""

    outcome: Outcome | Rejected
    windows: tuple[Window, ...] = ()
    outputs: tuple[Outputs, ...] = ()


class UnbatchedReader:
    """Thread-safe."""

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
        try:
            job, outputs = self.run(event)
        except Rejected as rejected:
            return UnbatchedResult(rejected)
        return UnbatchedResult(job.postprocess(self._model), tuple(job.windows), tuple(outputs))

    def run(self, event: Event[Any]) -> tuple[Job[Any], list[Outputs]]:
        """The event's job before `postprocess`, and the outputs of its windows.

        Raises `Rejected`, and what the model raises.
        """
        job = self._task.make(event)
        job.preprocess()
        outputs = [self.session.run([window])[0] for window in job.windows]
        for index, output in enumerate(outputs):
            job.add_output(index, output)
        return job, outputs
