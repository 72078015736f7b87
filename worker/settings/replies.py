"""Replies to the topics that questions name in their headers."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from schemas.reply import is_topic_name
from worker.inference.options import split_csv
from worker.settings.delivery import TopicSettings

ANY = "*"
"""Ends a prefix."""


class ReplySettings(TopicSettings):
    """The topics that may be answered to."""

    reply_topics: Annotated[tuple[str, ...], BeforeValidator(split_csv)] = Field(
        (),
        description="Topics that questions may name for their answers in a header "
        "(kafka_replyTopic, reply_to), separated by commas; a name that ends with * is a prefix. "
        "Empty: the headers have no effect",
    )
    reply_also: bool = Field(
        False, description="Publish the answer to such a question to QA_ANSWERS_TOPIC as well"
    )

    @field_validator("reply_topics")
    @classmethod
    def _check_names(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        for topic in topics:
            prefix = topic.removesuffix(ANY)
            # Whatever follows it, a prefix is valid if it is with one more character.
            if not is_topic_name(f"{prefix}x" if topic.endswith(ANY) else topic):
                raise ValueError(
                    f"{topic!r} is neither a topic's name nor a prefix that ends with {ANY}"
                )
        return topics

    @model_validator(mode="after")
    def _check_replies(self) -> Self:
        onward = f", unsure questions to {self.unsure_topic}" if self.unsure_topic else ""
        for topic in self._not_for_replies:
            if topic in self.reply_topics:
                raise ValueError(
                    f"QA_REPLY_TOPICS must not name {topic}: the worker reads its questions from "
                    f"{', '.join(self.question_topics)} and writes dead letters to "
                    f"{self.dead_letters_topic}"
                    f"{onward}"
                )
        if self.reply_also and not self.reply_topics:
            raise ValueError("QA_REPLY_ALSO needs QA_REPLY_TOPICS")
        return self

    @property
    def _not_for_replies(self) -> list[str]:
        """An answer there would be read as a question, or replayed as one."""
        return [topic for topic in self.topics if topic != self.answers_topic]

    def may_reply_to(self, topic: str) -> bool:
        """Whether a question may name the topic for its reply."""
        return topic not in self._not_for_replies and any(
            topic.startswith(allowed[:-1]) if allowed.endswith(ANY) else topic == allowed
            for allowed in self.reply_topics
        )

    @property
    def named_reply_topics(self) -> list[str]:
        """The topics that `reply_topics` names in full, in its order."""
        return [topic for topic in self.reply_topics if not topic.endswith(ANY)]
