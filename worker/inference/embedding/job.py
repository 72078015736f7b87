"""Embeddings: splits texts into windows, pools each, and combines them into one vector."""

from schemas.answer import ModelInfo
from schemas.embedding import Embedding
from schemas.text import Text
from worker.inference.embedding.layers import Doubles, load_layers
from worker.inference.embedding.pooling import combine, pool, shortest_floats
from worker.inference.embedding.windows import TextWindower
from worker.inference.job import Job
from worker.inference.onnx_session import Outputs
from worker.inference.options import InferenceOptions
from worker.inference.window import Window
from worker.models.bundle import Bundle
from worker.models.manifest import Pooling


class EmbeddingTask:
    """Jobs for a bundle that embeds texts."""

    event_type = Text

    def __init__(self, bundle: Bundle, options: InferenceOptions, *, max_tokens: int) -> None:
        """`max_tokens` bounds a window. Raises `BundleError`."""
        assert bundle.manifest.pooling is not None
        self.pooling: Pooling = bundle.manifest.pooling
        self.layers = load_layers(bundle)
        self.windower = TextWindower(bundle, max_tokens=max_tokens)
        self.max_windows = options.max_windows

    def make(self, event: Text) -> "TextJob":
        return TextJob(event, self)

    def check(self, window: Window, outputs: Outputs) -> None:
        """Raises `ValueError` unless there is a vector for each token that the layers take."""
        (vectors,) = outputs
        if vectors.ndim != 2 or len(vectors) != len(window):
            raise ValueError(f"token vectors of shape {vectors.shape} for {len(window)} tokens")
        if self.layers and vectors.shape[1] != self.layers[0].inputs:
            raise ValueError(
                f"token vectors of {vectors.shape[1]} numbers, but "
                f"{self.layers[0].layer.weight} takes {self.layers[0].inputs}"
            )


class TextJob(Job[Embedding]):
    """A text, until its embedding."""

    def __init__(self, text: Text, task: EmbeddingTask) -> None:
        super().__init__()
        self._text = text
        self._task = task
        self._pooled: dict[int, Doubles] = {}

    @property
    def texts(self) -> tuple[str, ...]:
        return (self._text.text,)

    def split(self) -> list[Window]:
        """Raises `Rejected`."""
        return self._task.windower.split(self._text.text, max_windows=self._task.max_windows)

    def add_output(self, index: int, outputs: Outputs) -> None:
        # Pool at once: the token vectors of a long text would take 1.5 MB for each window.
        self._pooled[index] = pool(outputs[0], self._task.pooling)

    def postprocess(self, model: ModelInfo) -> Embedding:
        """Combine the vectors of all windows. Raises `VectorError`."""
        vector = combine(
            [self._pooled[index] for index in range(len(self.windows))],
            [window.count for window in self.windows],
            self._task.pooling,
            self._task.layers,
        )
        return Embedding(
            id=self._text.id or "",
            embedding=shortest_floats(vector),
            dims=len(vector),
            model=model,
            windows=len(self.windows),
            metadata=self._text.metadata,
        )
