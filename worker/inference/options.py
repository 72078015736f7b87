"""The inference options of a worker: defaults and limits, and how a question's own options apply.

The one place where these options, their defaults and their meanings are declared: the settings
group of the worker inherits the fields, as the variables `QA_...`.
"""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from schemas.answer import OffsetUnit
from schemas.question import MAX_CONTEXTS, ReadingOptions
from schemas.rejection import Reason, Rejected
from worker.inference.cpu_quota import available_cores
from worker.inference.execution_providers import Provider
from worker.inference.question_answering.spans import ScoreNormalization, SpanOptions
from worker.models.manifest import Manifest

T = TypeVar("T")

_QUESTION_DEFAULTS = {"overlap": 1.0, "retriever_weight": 0.0}
"""Of options that have no setting."""


def split_csv(value: object) -> object:
    """Split a text at its commas; leave other values as they are."""
    return [item.strip() for item in value.split(",")] if isinstance(value, str) else value


_BOOLEAN = TypeAdapter(bool)


def _boolean_or_auto(value: object) -> object:
    # pydantic's message for a union would be two, neither of which names all values.
    if value == "auto":
        return value
    try:
        return _BOOLEAN.validate_python(value)
    except ValidationError:
        raise ValueError("Input should be true, false or auto") from None


class InferenceOptions(BaseModel):
    """How the engine runs a model. Raises pydantic's `ValidationError`."""

    model_config = ConfigDict(frozen=True)

    threads: int = Field(
        default_factory=available_cores,
        ge=1,
        description="Threads that run the model; default: the number of cores of the CPU quota",
    )
    providers: Annotated[tuple[Provider, ...], BeforeValidator(split_csv)] = Field(
        (Provider.CPU,),
        min_length=1,
        description="onnxruntime execution providers in order of preference, separated by commas: "
        "cpu, cuda, openvino",
    )
    provider_fallback: bool = Field(
        False, description="Use the next provider if one is not available; else refuse to start"
    )
    max_tokens: int | None = Field(
        None, ge=32, description="Tokens in a window; default: the model's maximum"
    )
    max_batch_tokens: int | None = Field(
        None,
        ge=32,
        description="Padded tokens in a batch; bounds the memory of a run; default: one window",
    )
    max_padding: float = Field(
        0.02, ge=0, lt=1, description="Maximum share of padding tokens in a batch"
    )
    doc_stride: int = Field(128, ge=0, description="Overlap of neighbouring windows, in tokens")
    max_answer_tokens: int = Field(15, ge=1, description="Maximum length of an answer, in tokens")
    max_answer_tokens_limit: int = Field(
        100, ge=1, description="Maximum of max_answer_tokens that a question may request"
    )
    top_k: int = Field(1, ge=1, description="Number of spans in an answer")
    top_k_limit: int = Field(20, ge=1, description="Maximum of top_k that a question may request")
    align_to_words: bool = Field(True, description="Extend answers to whole words")
    no_answer: Annotated[bool | Literal["auto"], BeforeValidator(_boolean_or_auto)] = Field(
        "auto",
        description="Allow the empty answer, as in SQuAD v2: true, false, or auto: if the model "
        "was trained on unanswerable questions",
    )
    no_answer_threshold: float | None = Field(
        None,
        ge=-100,
        le=100,
        description="Return the empty answer if its logit exceeds that of the best span by more; "
        "default: the calibrated model's threshold, otherwise 0",
    )
    min_score: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Do not take a best span with a lower score for an answer",
    )
    score_normalization: ScoreNormalization = Field(
        ScoreNormalization.JOINT,
        description="Softmax over all windows of all contexts (joint) or over each (per_window)",
    )
    offsets: OffsetUnit = Field(
        "code_points",
        description="Unit of the offsets in answers: code_points, utf16 (code units) or bytes (of "
        "UTF-8)",
    )
    max_question_tokens: int | None = Field(
        None, ge=1, description="Maximum length of a question, in tokens; default: half a window"
    )
    max_windows: int = Field(256, ge=1, description="Maximum number of windows of one event")
    max_contexts: int = Field(
        100, ge=1, le=MAX_CONTEXTS, description="Maximum number of contexts of a question"
    )

    def for_model(self, manifest: Manifest) -> Self:
        """These options, with the model's own where they leave it the choice."""
        calibration = manifest.calibration
        # As the temperature, it is fitted to joint scores.
        is_joint = self.score_normalization is ScoreNormalization.JOINT
        fitted = calibration.no_answer_threshold if calibration and is_joint else None
        known = manifest.knows_no_answer if self.no_answer == "auto" else self.no_answer
        threshold = _first(self.no_answer_threshold, fitted)
        return self.model_copy(update={"no_answer": known, "no_answer_threshold": threshold})

    def span_options(self, requested: ReadingOptions) -> SpanOptions:
        """The options of one question: its own where it has them, else the worker's defaults.

        What is left to the model has the value of a model that says nothing; see `for_model`.
        Raises `Rejected` for an option above the worker's limit.
        """
        span = SpanOptions(
            top_k=_first(requested.top_k, self.top_k),
            max_answer_tokens=_first(requested.max_answer_tokens, self.max_answer_tokens),
            align_to_words=_first(requested.align_to_words, self.align_to_words),
            no_answer=_first(requested.no_answer, self.no_answer is True),
            no_answer_threshold=_first(
                requested.no_answer_threshold, self.no_answer_threshold or 0.0
            ),
            score_normalization=self.score_normalization,
            min_score=_first(requested.min_score, self.min_score),
            per_context=requested.per_context,
            overlap=_first(requested.overlap, _QUESTION_DEFAULTS["overlap"]),
            retriever_weight=_first(
                requested.retriever_weight, _QUESTION_DEFAULTS["retriever_weight"]
            ),
        )
        _check_limit("top_k", span.top_k, self.top_k_limit)
        _check_limit("max_answer_tokens", span.max_answer_tokens, self.max_answer_tokens_limit)
        return span

    def stride(self, requested: ReadingOptions) -> int:
        """The overlap of neighbouring windows, in tokens. `Windower.split` caps it at half of a
        window's context.
        """
        return _first(requested.doc_stride, self.doc_stride)

    def offset_unit(self, requested: ReadingOptions) -> OffsetUnit:
        """The unit of the offsets in the answer to one question."""
        return _first(requested.offsets, self.offsets)

    def effective(self, requested: ReadingOptions) -> dict[str, Any]:
        """All options of one question by name: its own where it has them, else the worker's
        defaults; None where there is none. Its limits are not checked.
        """
        return {
            name: _first(
                getattr(requested, name), getattr(self, name, _QUESTION_DEFAULTS.get(name))
            )
            for name in ReadingOptions.model_fields
        }


def _first(requested: T | None, default: T) -> T:
    return default if requested is None else requested


def _check_limit(name: str, value: int, limit: int) -> None:
    if value > limit:
        raise Rejected(
            Reason.OPTION_OUT_OF_RANGE, f"options.{name} is {value}, the limit is {limit}"
        )
