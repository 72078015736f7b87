"""Replies to the topics that questions name: whether there is one, and what is published for it.

A question may name a topic that QA_REPLY_TOPICS allows and that the worker can write to. Its answer
goes there, instead of or beside the answers topic; a rejection leads to an error reply beside the
dead letter.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import structlog

from schemas.rejection import Header, Reason, Rejected
from schemas.reply import encode_error_reply, reply_address
from worker.kafka.foreign_topics import ForeignTopics
from worker.kafka.records import InputRecord, OutputRecord
from worker.kafka.refusals import Refusal
from worker.settings import WorkerSettings
from worker.streaming.codec import with_trace_context

log = structlog.get_logger(__name__)


_REFUSALS = {Reason.REPLY_NOT_ALLOWED: "not_allowed", Reason.REPLY_UNKNOWN: "unknown"}


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply that a question asks for."""

    topic: str
    partition: int | None
    """None: by the question's key, as in the answers topic."""
    max_bytes: int
    """The topic's `max.message.bytes`."""
    requires_key: bool
    event_id: str = ""
    """Of the question, once it is decoded."""


class ReplyRouter:
    """One for a session."""

    def __init__(self, qa: WorkerSettings, topics: ForeignTopics) -> None:
        self._qa = qa
        self._topics = topics

    async def find(self, record: InputRecord) -> Reply | None:
        """The reply that the record's headers ask for, if there are any that count.

        Waits for the brokers' description of a topic that is not known yet. Raises `Rejected` if
        the topic is not allowed, or does not exist.
        """
        if not self._qa.reply_topics:
            return None
        try:
            return await self._find(record)
        except Rejected:
            if record.undecodable is not None:  # that is why it is rejected
                return None
            raise

    async def _find(self, record: InputRecord) -> Reply | None:
        address = reply_address(record.headers)
        if address is None:
            return None
        if not self._qa.may_reply_to(address.topic):
            raise Rejected(
                Reason.REPLY_NOT_ALLOWED,
                f"QA_REPLY_TOPICS does not allow replies to topic {address.topic}",
            )
        topic = await self._topics.find(address.topic, address.partition)
        if problem := topic.problem_with(address.partition):
            raise Rejected(Reason.REPLY_UNKNOWN, problem)
        return Reply(
            address.topic, address.partition, topic.max_message_bytes, requires_key=topic.compacted
        )

    def outputs(
        self, record: InputRecord, answer: OutputRecord, reply: Reply | None
    ) -> tuple[OutputRecord, ...]:
        """What is published for an answer, given as its record for the answers topic. The reply
        comes first.
        """
        if reply is None:
            return (answer,)
        output = self._to(reply, record, answer)
        also = self._qa.reply_also and reply.topic != answer.topic
        return (output, answer) if also else (output,)

    def error_reply(
        self,
        record: InputRecord,
        rejected: Rejected,
        reply: Reply | None,
        context: Sequence[Header] | None,
    ) -> tuple[OutputRecord, ...]:
        """The error reply of a rejected question; nothing if the question asks for no reply, and if
        its topic does not take a record of that size. `context` replaces the trace headers.
        """
        if reply is None:
            return ()
        own = record.headers if context is None else with_trace_context(record.headers, context)
        value, headers = encode_error_reply(reply.event_id or record.default_id, rejected, own)
        plain = OutputRecord(reply.topic, record.key, value, headers, record.partition)
        output = self._to(reply, record, plain)
        if output.size <= reply.max_bytes:
            return (output,)
        log_dropped(record, reply, f"{reply.topic} takes {reply.max_bytes} bytes of {output.size}")
        return ()

    def _to(self, reply: Reply, record: InputRecord, output: OutputRecord) -> OutputRecord:
        key = output.key
        if key is None and reply.requires_key:
            key = record.default_id.encode()
        return replace(
            output,
            topic=reply.topic,
            partition=reply.partition,
            key=key,
            # For a topic of its own the worker has the right to write, and waits for its leaders.
            foreign=reply.topic != self._qa.answers_topic,
        )


def with_event_id(reply: Reply | None, event_id: str) -> Reply | None:
    return None if reply is None else replace(reply, event_id=event_id)


def rejection_for(refusal: Refusal) -> Rejected:
    """Why a question is rejected whose answer a topic refuses."""
    if refusal.missing:
        return Rejected(Reason.REPLY_UNKNOWN, str(refusal))
    reason = Reason.ANSWER_TOO_LARGE if refusal.too_large else Reason.ANSWER_REFUSED
    return Rejected(reason, str(refusal))


def reply_after(reply: Reply | None, refusals: Iterable[Refusal]) -> Reply | None:
    """The reply, unless its topic has refused it for another reason than its size."""
    is_refused = reply is not None and any(
        refusal.topic == reply.topic and not refusal.too_large for refusal in refusals
    )
    return None if is_refused else reply


def reply_outcome(
    reply: Reply | None, reason: Reason | None, outputs: Sequence[OutputRecord]
) -> str | None:
    """The value of `outcome` in `qa_replies_total`; None for a question that asks for no reply."""
    if reason in _REFUSALS:
        return _REFUSALS[reason]
    if reply is None or not outputs:  # none: an expired question that is dropped
        return None
    if reason is None:
        # A question that is sent on gets its reply from the worker that answers it.
        return "answer" if any(each.topic == reply.topic for each in outputs) else None
    return "error" if len(outputs) > 1 else "dropped"


def log_dropped(record: InputRecord, reply: Reply, why: str) -> None:
    """The error reply of a question cannot be published."""
    log.warning(
        "error_reply_dropped",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        reply_topic=reply.topic,
        why=why,
    )
