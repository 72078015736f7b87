"""The worker's own knobs: `QA_...`."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from worker.inference.cpu_quota import available_cores
from worker.inference.execution_providers import Provider
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.spans import ScoreNormalization
from worker.models.bundle import DEFAULT_NAME
from worker.settings.base import MIB, SettingsGroup, require_at_most, require_below, split_csv

Providers = Annotated[tuple[Provider, ...], BeforeValidator(split_csv)]
Origins = Annotated[tuple[str, ...], BeforeValidator(split_csv)]

TOKEN_CHARACTERS = 16
"""Of the console's token, at least: 96 bits, if they are chosen at random of 64."""


class WorkerSettings(SettingsGroup):
    """What is ours. Field `x_y` is the variable `QA_X_Y`."""

    model: str = Field(
        DEFAULT_NAME, description="The model: a name (see `qa-worker model list`) or a directory"
    )
    models: Path | None = Field(
        None,
        description="Directory of named models; unset: qa-worker/models in $XDG_DATA_HOME or "
        "~/.local/share",
    )
    questions_topic: str = Field("qa.questions", description="Topic that questions come from")
    answers_topic: str = Field("qa.answers", description="Topic that answers go to")
    dead_letters_topic: str = Field(
        "qa.questions.dead", description="Topic for records that cannot be answered"
    )
    delivery: Literal["at_least_once", "exactly_once"] = Field(
        "exactly_once", description="Delivery guarantee of answers: exactly_once or at_least_once"
    )

    threads: int | None = Field(
        None, ge=1, description="Threads that run the model; unset: the cores of the CPU quota"
    )
    providers: Providers = Field(
        (Provider.CPU,),
        min_length=1,
        description="Where the model runs, best first, with commas: cpu, cuda, openvino",
    )
    provider_fallback: bool = Field(
        False, description="Start with the next provider where one is missing"
    )
    max_tokens: int | None = Field(
        None, ge=32, description="Tokens of a window; unset: the model's own limit"
    )
    max_batch_tokens: int | None = Field(
        None,
        ge=32,
        description="Padded tokens of a batch, the bound of the model's memory; unset: one window",
    )
    max_padding: float = Field(0.02, ge=0, lt=1, description="Share of a batch that may be padding")
    doc_stride: int = Field(128, ge=0, description="Overlap of neighbouring windows, in tokens")
    max_answer_tokens: int = Field(15, ge=1, description="Longest answer, in tokens")
    max_answer_tokens_limit: int = Field(100, ge=1, description="What a question may ask for")
    top_k: int = Field(1, ge=1, description="Spans in an answer")
    top_k_limit: int = Field(20, ge=1, description="What a question may ask for")
    align_to_words: bool = Field(True, description="Grow answers to whole words")
    no_answer: bool = Field(False, description='May an answer be "none"')
    no_answer_threshold: float = Field(
        0.0,
        ge=-100,
        le=100,
        description='"none" wins where its logits are above those of the best span by more',
    )
    score_normalization: ScoreNormalization = Field(
        ScoreNormalization.JOINT,
        description="How spans of different windows compare: joint or per_window",
    )
    max_question_tokens: int | None = Field(
        None, ge=1, description="Longest question, in tokens; unset: half a window"
    )
    max_windows: int = Field(256, ge=1, description="Windows that a context may take")
    max_record_bytes: int = Field(MIB, ge=1, description="Largest question record's value")

    max_in_flight_tokens: int = Field(
        65_536, ge=1, description="Tokens taken and not yet answered, above which polling stops"
    )
    max_in_flight_bytes: int = Field(
        16 * MIB, ge=1, description="Bytes of records taken and not yet acknowledged, likewise"
    )
    max_in_flight_seconds: float = Field(
        2.0,
        gt=0,
        description="Records taken and not yet answered, in seconds of the engine's measured rate; "
        "bounds how long a drain takes",
    )
    commit_interval_ms: int = Field(
        100, ge=10, description="Time between commits of offsets; of transactions, if exactly_once"
    )
    commit_records: int = Field(
        1000, ge=1, description="Records of a partition that are committed without waiting for that"
    )
    drain_seconds: float = Field(
        15, gt=0, description="Time for work in flight when partitions are revoked"
    )
    shutdown_seconds: float = Field(
        25, gt=0, description="Time from SIGTERM to the end, draining included"
    )
    termination_grace_period_seconds: float = Field(
        30, gt=0, description="terminationGracePeriodSeconds of the pod, checked against"
    )
    stall_seconds: float = Field(
        120, gt=0, description="Records in flight but none finished for so long: not alive"
    )
    outage_seconds: float = Field(
        900, gt=0, description="Brokers away for so long: the worker gives up and exits"
    )

    # Questions of which half are bad by chance never trip it: the probability of more than 90 among
    # 100 is 2e-18 at each record (60 % bad: 4e-12, 70 %: 4e-7). With a wrong model, or a producer
    # gone wrong, everything is rejected, and the hundredth record trips it.
    dead_letter_limit_records: int = Field(
        100, ge=0, description="Outcomes that the circuit breaker looks back on; 0: none is there"
    )
    dead_letter_limit_ratio: float = Field(
        0.9,
        gt=0,
        lt=1,
        description="Share of rejections among them above which the worker stops",
    )

    http_host: str = Field("0.0.0.0", description="Address of /metrics, /healthz and /readyz")  # noqa: S104 - a pod's probes come from outside
    http_port: int = Field(8080, ge=0, le=65535, description="Its port; 0 picks a free one")
    tracing: bool = Field(
        False, description="Export traces by OTLP over HTTP, as the OTEL_ variables say"
    )
    console: bool = Field(
        False, description="Serve the console at /console/: live plots, and a form for questions"
    )
    console_token: SecretStr | None = Field(
        None, description="What the console's users must know, 16 characters at least"
    )
    console_origins: Origins = Field(
        (),
        description="Where browsers find the console, with commas: https://qa.example.org; "
        "always: localhost",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, else JSON"
    )

    @field_validator("console_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not re.fullmatch(r"https?://[^/?#@\s]+", origin):
                raise ValueError(f"{origin!r} is no origin, such as https://qa.example.org:8443")
        return origins

    @model_validator(mode="after")
    def _console_has_a_token(self) -> "WorkerSettings":
        token = self.console_token.get_secret_value() if self.console_token else ""
        if self.console and len(token) < TOKEN_CHARACTERS:
            raise ValueError(
                f"QA_CONSOLE needs QA_CONSOLE_TOKEN (or QA_CONSOLE_TOKEN_FILE) of "
                f"{TOKEN_CHARACTERS} characters at least; `openssl rand -hex 16` makes one"
            )
        return self

    @model_validator(mode="after")
    def _defaults_within_limits(self) -> "WorkerSettings":
        require_at_most("QA_TOP_K", self.top_k, "QA_TOP_K_LIMIT", self.top_k_limit)
        require_at_most(
            "QA_MAX_ANSWER_TOKENS",
            self.max_answer_tokens,
            "QA_MAX_ANSWER_TOKENS_LIMIT",
            self.max_answer_tokens_limit,
        )
        require_below(
            "QA_DRAIN_SECONDS", self.drain_seconds, "QA_SHUTDOWN_SECONDS", self.shutdown_seconds
        )
        require_below(
            "QA_SHUTDOWN_SECONDS",
            self.shutdown_seconds,
            "QA_TERMINATION_GRACE_PERIOD_SECONDS",
            self.termination_grace_period_seconds,
        )
        topics = [self.questions_topic, self.answers_topic, self.dead_letters_topic]
        if len(set(topics)) < len(topics):
            raise ValueError(
                "QA_QUESTIONS_TOPIC, QA_ANSWERS_TOPIC and QA_DEAD_LETTERS_TOPIC must differ"
            )
        return self

    def reading(self) -> InferenceOptions:
        """The part of it that the reader needs."""
        knobs = {knob.name: getattr(self, knob.name) for knob in fields(InferenceOptions)}
        return InferenceOptions(**{**knobs, "threads": self.threads or available_cores()})
