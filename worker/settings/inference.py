"""Which model runs, and how: `QA_MODEL`, `QA_MODELS`, and the engine's options."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from worker.inference.options import InferenceOptions
from worker.models.bundle import DEFAULT_NAME
from worker.settings.base import MIB, SettingsGroup, require_at_most


class ModelSettings(SettingsGroup):
    """Which model runs."""

    model: str = Field(
        DEFAULT_NAME, description="Model: a name (see `qa-worker model list`) or a directory"
    )
    models: Path | None = Field(
        None,
        description="Directory of the named models; default: qa-worker/models in $XDG_DATA_HOME or "
        "~/.local/share",
    )


class CacheSettings(SettingsGroup):
    """The answer cache."""

    cache_bytes: int = Field(
        32 * MIB,
        ge=0,
        description="Memory for answers to questions that may be asked again; 0: off",
    )


class InferenceSettings(InferenceOptions, SettingsGroup):
    """The fields of `InferenceOptions`, checked against each other."""

    @property
    def inference(self) -> InferenceOptions:
        """The engine's options alone."""
        names = InferenceOptions.model_fields
        return InferenceOptions(**{name: getattr(self, name) for name in names})

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        require_at_most("QA_TOP_K", self.top_k, "QA_TOP_K_LIMIT", self.top_k_limit)
        require_at_most(
            "QA_MAX_ANSWER_TOKENS",
            self.max_answer_tokens,
            "QA_MAX_ANSWER_TOKENS_LIMIT",
            self.max_answer_tokens_limit,
        )
        return self
