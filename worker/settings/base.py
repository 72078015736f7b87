"""What the groups of settings have in common: base, error, and how values are compared."""

from pydantic import BaseModel, ConfigDict

MIB = 1024 * 1024


class SettingsError(Exception):
    """A setting cannot work: one line that names the variable and says what to change."""


class SettingsGroup(BaseModel):
    """A group of variables. Texts are turned into the fields' types."""

    model_config = ConfigDict(frozen=True)


def split_csv(value: object) -> object:
    """A text with commas as a list of its parts."""
    return [item.strip() for item in value.split(",")] if isinstance(value, str) else value


def require_at_most(name: str, value: float, limit_name: str, limit: float) -> None:
    if value > limit:
        raise ValueError(f"{name} ({value:g}) must be at most {limit_name} ({limit:g})")


def require_below(name: str, value: float, limit_name: str, limit: float) -> None:
    if value >= limit:
        raise ValueError(f"{name} ({value:g}) must be less than {limit_name} ({limit:g})")
