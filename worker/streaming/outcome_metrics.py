"""The metrics of records whose outcome was delivered."""

import time

from prometheus_client import Counter, Histogram

from schemas.rejection import Reason
from worker.kafka.records import InputRecord
from worker.observability import metrics
from worker.streaming.delivery.base import ProcessedRecord
from worker.streaming.unsure import Verdict

_PUBLISH = metrics.STAGE.labels("publish")
_VERDICTS = {verdict: metrics.VERDICTS.labels(str(verdict)) for verdict in Verdict}
_REJECTIONS = {reason: metrics.REJECTIONS.labels(str(reason)) for reason in Reason}


def count_outcome(processed: ProcessedRecord, answers: Counter) -> None:
    """`answers` counts the answers of the record's partition."""
    if processed.verdict is not None:
        _VERDICTS[processed.verdict].inc()
    if processed.expired is not None:
        metrics.PAST_DEADLINE.labels(processed.expired).inc()
    if not processed.outputs:
        return
    if processed.reason is None:
        answers.inc()
    else:
        _REJECTIONS[processed.reason].inc()
    if processed.reply_outcome is not None:
        metrics.REPLIES.labels(processed.reply_outcome).inc()


def observe_latency(
    record: InputRecord, latency: Histogram, *, added: float, published: float
) -> None:
    """The record has gone out now.

    `latency` is the end-to-end latency of its topic. `added` is when its partition got it and
    `published` when its delivery began (`time.perf_counter`).
    """
    now = time.perf_counter()
    _PUBLISH.observe(now - published)
    metrics.RECORD_PROCESSING.observe(now - added)
    if record.produced_ms is not None:
        # The producer's clock may be ahead of ours.
        latency.observe(max(0.0, time.time() - record.produced_ms / 1000))
