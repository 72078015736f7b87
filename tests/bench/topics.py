"""Topics of a measurement."""

from tests.streaming.topics import Topics
from worker.inference.cpu_quota import available_cores


class BenchTopics(Topics):
    """The worker uses all cores, as it does by default, unless the environment says otherwise; that
    of tests has one thread.
    """

    def __post_init__(self) -> None:
        self.environment = {"QA_THREADS": str(available_cores()), **self.environment}
        super().__post_init__()
