"""From environment variables to settings, and back to a table of them.

`QA_...` is the worker's, `KAFKA_...` the client's. A secret may also come from a file, named by
`..._FILE`. Whatever is wrong is said in one line.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from worker.settings import Group, KafkaSettings, Settings, SettingsError, WorkerSettings

G = TypeVar("G", bound=Group)


@dataclass(frozen=True, slots=True)
class Variable:
    """One line of `qa-worker settings`."""

    name: str
    default: str
    meaning: str
    secret: bool


_GROUPS: tuple[tuple[str, type[Group]], ...] = (
    ("QA_", WorkerSettings),
    ("KAFKA_", KafkaSettings),
)
# Kubernetes puts QA_WORKER_SERVICE_HOST and the like into every pod beside a service "qa-worker".
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT(_.+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_.+)?$")


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read `environment` (that of the process, if not given). Raises `SettingsError`."""
    environment = os.environ if environment is None else environment
    _refuse_unknown(environment)
    qa = _build("QA_", WorkerSettings, environment)
    kafka = _build("KAFKA_", KafkaSettings, environment)
    return Settings(qa, kafka)


def variables() -> Iterator[Variable]:
    """Every variable, in the order of this file."""
    for prefix, group in _GROUPS:
        for name, field in group.model_fields.items():
            default = field.default
            yield Variable(
                name=prefix + name.upper(),
                default="" if default is None else _show(default),
                meaning=field.description or "",
                secret=_is_secret(field),
            )


def current(settings: Settings) -> dict[str, str]:
    """Variable name to its value, secrets hidden."""
    return {
        prefix + name.upper(): "" if value is None else _show(value)
        for prefix, group in (("QA_", settings.qa), ("KAFKA_", settings.kafka))
        for name, value in group
    }


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *get_args(field.annotation))


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = [variable.name for variable in variables()]
    files = {f"{variable.name}_FILE" for variable in variables() if variable.secret}
    for name, value in sorted(environment.items()):
        if not name.startswith("QA_") or name in files or name in known:
            continue
        if _is_service_link(name, value):
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        raise SettingsError(f"{name} is no setting; the nearest is {near[0]}")


def _is_service_link(name: str, value: str) -> bool:
    # A bare ..._PORT could be a slip of the pen, but no port of ours is written tcp://10.0.0.1:80.
    return bool(_SERVICE_LINK.search(name)) or (name.endswith("_PORT") and "://" in value)


def _build(prefix: str, group: type[G], environment: Mapping[str, str]) -> G:
    values = {}
    for name, field in group.model_fields.items():
        variable = prefix + name.upper()
        value = environment.get(variable)
        if _is_secret(field):
            value = _from_file(variable, value, environment)
        # An empty variable is an unset one, as compose files and charts write it.
        if value:
            values[name] = value
    try:
        return group.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise SettingsError(message) from None
        name = str(first["loc"][0])
        hidden = _is_secret(group.model_fields[name])
        shown = "its value" if hidden else repr(values.get(name, ""))
        raise SettingsError(f"{prefix}{name.upper()} is {shown}: {message}") from None


def _from_file(variable: str, value: str | None, environment: Mapping[str, str]) -> str | None:
    path = environment.get(f"{variable}_FILE")
    if not path:
        return value
    if value:
        raise SettingsError(f"{variable} and {variable}_FILE are both set; keep one")
    try:
        return Path(path).read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise SettingsError(f"{variable}_FILE is {path!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{variable}_FILE is {path!r}: not UTF-8") from None
