"""Logs how many records were past their deadline: one line for each check of the watchdog, not one
for each record, since after an outage thousands may expire within seconds.
"""

import structlog

from worker.observability import metrics

log = structlog.get_logger(__name__)


class PastDeadlineReporter:
    """One for a session."""

    def __init__(self) -> None:
        self._reported = _counts()

    def report(self) -> None:
        """Log what was counted since the last call, if anything."""
        counts = _counts()
        for mode, count in counts.items():
            if records := int(count - self._reported[mode]):
                log.warning("past_deadline", records=records, mode=mode)
        self._reported = counts


def _counts() -> dict[str, float]:
    """Value of `QA_EXPIRED` to the number of records."""
    (family,) = metrics.PAST_DEADLINE.collect()
    return {
        sample.labels["mode"]: sample.value
        for sample in family.samples
        if sample.name.endswith("_total")
    }
