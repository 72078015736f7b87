"""How far the processing of a record has come: what its outcome or its rejection needs."""

import time

from worker.kafka.records import InputRecord
from worker.observability import metrics
from worker.observability.record_trace import RecordTrace
from worker.observability.timings import StageTiming
from worker.streaming.replies import Reply, with_event_id
from worker.streaming.schema_waits import SchemaWait

_SCHEMA, _DECODE = metrics.STAGE.labels("schema"), metrics.STAGE.labels("decode")


class RecordProgress:
    """Of one record, from its first step on. Adds the stages `schema` and `decode` to its trace and
    to the metrics.
    """

    def __init__(self, record: InputRecord, trace: RecordTrace | None) -> None:
        self.record = record
        self.trace = trace
        self.name = record.default_id
        """The event's id, once it is known."""
        self.reply: Reply | None = None
        """The reply that the question asks for, once it is known."""
        self._is_decoded = False
        self._started = time.perf_counter()
        self._started_ns = time.time_ns()

    def found_reply(self, reply: Reply | None) -> None:
        """What the record's headers ask for is known; the record is decoded next."""
        self.reply = reply
        self._started = time.perf_counter()
        if self.trace is not None and reply is not None:
            self.trace.reply_topic = reply.topic

    def waited(self, wait: SchemaWait) -> None:
        """`wait` is over, if there was one. It is not part of the decoding."""
        if not wait.ended:
            return
        _SCHEMA.observe(wait.seconds)
        self._started += wait.seconds
        self._started_ns = wait.ended
        if self.trace is not None:
            self.trace.stages.append(StageTiming("schema", wait.began, wait.ended))

    def decoded(self, event_id: str | None) -> None:
        self._is_decoded = True
        _DECODE.observe(time.perf_counter() - self._started)
        self.name = event_id or self.name
        self.reply = with_event_id(self.reply, self.name)
        self._trace_decoding()

    def rejected(self) -> None:
        """The time until a record is rejected that cannot be decoded is that of its decoding."""
        if not self._is_decoded:
            self._trace_decoding()

    def _trace_decoding(self) -> None:
        if self.trace is not None:
            self.trace.id = self.name
            self.trace.add_stage("decode", self._started_ns)
