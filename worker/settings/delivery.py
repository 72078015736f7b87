"""How records travel: topics, guarantee, bounds on work in flight, commits, shutdown, limits."""

from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from schemas.reply import TOPIC_NAME, is_topic_name
from worker.inference.options import split_csv
from worker.settings.base import MIB, SettingsGroup, require_below
from worker.settings.question_topics import check_with_one_name, first_topic, parse_topics


class TopicSettings(SettingsGroup):
    """Where records come from and go to."""

    questions_topic: str = Field("qa.questions", description="Input topic")
    questions_topics: Annotated[tuple[str, ...], BeforeValidator(split_csv)] = Field(
        (),
        description="Several input topics in place of QA_QUESTIONS_TOPIC, separated by commas, "
        "each as NAME:WEIGHT (1 to 1000; default 1): topics with a backlog share the model by "
        "weight",
    )
    answers_topic: str = Field("qa.answers", description="Output topic")
    dead_letters_topic: str = Field(
        "qa.questions.dead", description="Topic for records that the worker rejects"
    )
    unsure_topic: str | None = Field(
        None,
        description="Topic for questions whose answers have a score below min_score, in place of "
        "these answers; default: none",
    )
    max_record_bytes: int = Field(
        MIB, ge=1, description="Maximum size of an input record's value; larger ones are rejected"
    )

    max_batch_bytes: int = Field(
        16 * MIB,
        ge=MIB,
        description="Maximum size to which a batch of input records may decompress; a larger one "
        "is rejected whole",
    )
    skip_corrupt_batches: bool = Field(
        False,
        description="Reject a batch of input records that is corrupt (a wrong CRC) and continue "
        "behind it; off: its partition stops there",
    )

    @property
    def question_topics(self) -> Mapping[str, int]:
        """The input topics with their weights; the first is `questions_topic`."""
        return parse_topics(self.questions_topics) or {self.questions_topic: 1}

    @property
    def output_topics(self) -> list[str]:
        """Answers, dead letters, and unsure questions if they have a topic."""
        topics = [self.answers_topic, self.dead_letters_topic]
        return topics if self.unsure_topic is None else [*topics, self.unsure_topic]

    @property
    def topics(self) -> list[str]:
        """The input topics, then the output topics."""
        return [*self.question_topics, *self.output_topics]

    @model_validator(mode="before")
    @classmethod
    def _default_to_first_topic(cls, values: dict[str, Any]) -> dict[str, Any]:
        first = first_topic(values.get("questions_topics") or "")
        return {"questions_topic": first, **values} if first else values

    @field_validator("questions_topics")
    @classmethod
    def _check_question_topics(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        parse_topics(topics)
        return topics

    @field_validator("questions_topic", "answers_topic", "dead_letters_topic", "unsure_topic")
    @classmethod
    def _check_name(cls, topic: str | None) -> str | None:
        if topic is not None and not is_topic_name(topic):
            raise ValueError(f"not a topic's name: {TOPIC_NAME}")
        return topic

    @model_validator(mode="after")
    def _check_topics(self) -> Self:
        check_with_one_name(self.questions_topic, self.question_topics)
        setting = "QA_QUESTIONS_TOPICS" if self.questions_topics else "QA_QUESTIONS_TOPIC"
        names = [
            *((setting, topic) for topic in self.question_topics),
            ("QA_ANSWERS_TOPIC", self.answers_topic),
            ("QA_DEAD_LETTERS_TOPIC", self.dead_letters_topic),
            ("QA_UNSURE_TOPIC", self.unsure_topic),
        ]
        for (one, topic), (other, same) in combinations(names, 2):
            if topic == same:
                raise ValueError(f"{one} and {other} must differ; both are {topic}")
        return self


class DeliverySettings(SettingsGroup):
    """The delivery guarantee, and the bounds on what is in flight."""

    delivery: Literal["at_least_once", "exactly_once"] = Field(
        "exactly_once", description="Delivery guarantee: exactly_once or at_least_once"
    )
    max_in_flight_tokens: int = Field(
        65_536,
        ge=1,
        description="Stop polling while the engine has this many tokens that it has not finished",
    )
    max_in_flight_bytes: int = Field(
        16 * MIB,
        ge=1,
        description="Stop polling while records of this many bytes are not yet acknowledged",
    )
    # A worker joins under a backlog within 4 s: its cold start (1.1 s), at most a heartbeat of the
    # others (1 s), and their drain, slowed by the worker that starts.
    max_in_flight_seconds: float = Field(
        1.0,
        gt=0,
        description="Records taken and not yet answered, in seconds of the engine's measured rate; "
        "bounds how long a drain takes",
    )
    commit_interval_ms: int = Field(
        100, ge=10, description="Time between commits of offsets (exactly_once: of transactions)"
    )
    commit_records: int = Field(
        1000,
        ge=1,
        description="Commit a partition after this many records, even if QA_COMMIT_INTERVAL_MS has "
        "not elapsed",
    )
    # A topic of which half the records are bad by chance does not reach the limit: the probability
    # of more than 90 rejections among 100 is 2e-18 at each record (60 % bad: 4e-12, 70 %: 4e-7).
    # With a wrong model or a broken producer all records are rejected: the 100th stops the worker.
    dead_letter_limit_records: int = Field(
        100, ge=0, description="Number of recent outcomes that the dead letter limit counts; 0: off"
    )
    dead_letter_limit_ratio: float = Field(
        0.9,
        gt=0,
        lt=1,
        description="Stop the worker if more than this share of those outcomes are rejections",
    )


class LifecycleSettings(SettingsGroup):
    """Time limits of drain and shutdown, and of a worker that makes no progress."""

    drain_seconds: float = Field(
        15, gt=0, description="Time to finish records in flight when partitions are revoked"
    )
    shutdown_seconds: float = Field(
        25, gt=0, description="Time from SIGTERM to the exit, drain included"
    )
    termination_grace_period_seconds: float = Field(
        30,
        gt=0,
        description="The pod's terminationGracePeriodSeconds; must exceed QA_SHUTDOWN_SECONDS",
    )
    stall_seconds: float = Field(
        120,
        gt=0,
        description="Fail /healthz if work is pending and no record has completed for this many "
        "seconds",
    )
    outage_seconds: float = Field(
        900, gt=0, description="Exit after this many seconds without contact to a broker"
    )

    @model_validator(mode="after")
    def _check_shutdown(self) -> Self:
        require_below(
            "QA_DRAIN_SECONDS", self.drain_seconds, "QA_SHUTDOWN_SECONDS", self.shutdown_seconds
        )
        require_below(
            "QA_SHUTDOWN_SECONDS",
            self.shutdown_seconds,
            "QA_TERMINATION_GRACE_PERIOD_SECONDS",
            self.termination_grace_period_seconds,
        )
        return self
