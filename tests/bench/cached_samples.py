"""What a model reads in a SQuAD file, for the benchmarks of its scores, kept in a file."""

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path

from worker.cli.terminal import progress
from worker.inference.options import InferenceOptions
from worker.model_tools.evaluation.calibration import Sample
from worker.model_tools.evaluation.calibration_run import read_samples
from worker.model_tools.evaluation.squad import Example
from worker.model_tools.evaluation.unbatched import UnbatchedReader
from worker.models.bundle import Bundle


def cached_samples(
    bundle: Bundle, options: InferenceOptions, examples: Sequence[Example], cache: Path | None
) -> list[Sample]:
    """The samples of all questions that are not rejected.

    `cache` has those of an earlier run with the same model and questions, or receives them.
    """
    names = [bundle.manifest.sha256, *(each.id for each in examples)]
    key = hashlib.sha256("\n".join(names).encode()).hexdigest()
    if cache and cache.exists():
        kept_key, samples = pickle.loads(cache.read_bytes())
        if kept_key == key:
            return list(samples)
    reader = UnbatchedReader(bundle, options)
    with progress() as bar:
        task = bar.add_task("reading", total=len(examples), speed="")
        read = read_samples(reader, options, examples, on_example=lambda: bar.advance(task))
    samples = [each for each in read if each is not None]
    if cache:
        cache.write_bytes(pickle.dumps((key, samples)))
    return samples
