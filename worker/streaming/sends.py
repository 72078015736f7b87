"""The messages that were sent for a record, and those that failed, for its trace."""

import time

from worker.kafka.errors import error_type, format_error
from worker.observability.client_operations import Send
from worker.observability.record_trace import RecordTrace
from worker.streaming.delivery.base import ProcessedRecord, Refusals

_NONE: Refusals = {}


def add_sends(
    trace: RecordTrace | None,
    processed: ProcessedRecord,
    began: int,
    *,
    refused: Refusals = _NONE,
    failed: BaseException | None = None,
) -> None:
    """Adds a `Send` for each output of `processed` that was acknowledged, that its topic `refused`,
    or that `failed` with its batch. The others were not sent, or will be sent again.

    Without a trace, it adds nothing. `began` is the start of the delivery (`time.time_ns`).
    """
    if trace is None:
        return
    ended = time.time_ns()
    for index, output in enumerate(processed.outputs):
        message = output.topic, output.key, output.headers, output.value is None
        if (receipt := processed.receipts.get(index)) is not None:
            send = Send(*message, receipt.began, receipt.ended, receipt.partition, receipt.offset)
        elif (refusal := refused.get(index)) is not None:
            send = Send(*message, began, ended, error_type=refusal.error, error=refusal.reason)
        elif failed is not None:
            kind, text = error_type(failed), format_error(failed)
            send = Send(*message, began, ended, error_type=kind, error=text)
        else:
            continue
        trace.sends.append(send)
