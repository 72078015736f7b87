"""A sample of the questions: `QA_SAMPLE`."""

from typing import Self

from pydantic import Field, model_validator

from worker.settings.replies import ReplySettings


class SampleSettings(ReplySettings):
    """Which questions the worker answers."""

    sample: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the questions that the worker answers, chosen by a hash of their id; "
        "of the others it only commits the offsets. For a candidate model beside production",
    )

    @model_validator(mode="after")
    def _check_sample(self) -> Self:
        if self.sample < 1 and self.reply_topics:
            raise ValueError(
                f"QA_SAMPLE ({self.sample:g}) below 1 needs an empty QA_REPLY_TOPICS: the senders "
                "of all other questions would wait for a reply in vain"
            )
        return self
