"""Base class and error of the settings groups, and comparisons of two settings."""

from pydantic import BaseModel, ConfigDict

MIB = 1024 * 1024


class SettingsError(Exception):
    """A setting cannot be used. The message is one line that names it and says what to change."""


class SettingsGroup(BaseModel):
    """Variables of one concern. pydantic converts their texts to the fields' types."""

    model_config = ConfigDict(frozen=True)


def require_at_most(name: str, value: float, limit_name: str, limit: float) -> None:
    """Raises `ValueError` with both names and values."""
    if value > limit:
        raise ValueError(f"{name} ({value:g}) must be at most {limit_name} ({limit:g})")


def require_below(name: str, value: float, limit_name: str, limit: float) -> None:
    """Raises `ValueError` with both names and values."""
    if value >= limit:
        raise ValueError(f"{name} ({value:g}) must be less than {limit_name} ({limit:g})")
