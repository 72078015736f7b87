"""Reads settings from environment variables, and lists the variables.

`QA_...` variables set the worker, `KAFKA_...` variables its Kafka client, `SCHEMA_REGISTRY_...`
variables the client of a schema registry. A secret may also come
from a file, whose path is in `..._FILE`. Each problem is one line. This is not pydantic-settings:
that would replace the loop over the fields in `_build`, and none of the checks around it (unknown
variables, Kubernetes' service links, `..._FILE`, a line for each problem).
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

from worker.settings import KafkaSettings, Settings, SettingsError, WorkerSettings
from worker.settings.base import SettingsGroup
from worker.settings.schema_registry import SchemaRegistrySettings

G = TypeVar("G", bound=SettingsGroup)

_TYPO_SIMILARITY = 0.85
"""`difflib` ratio from which on a name counts as a misspelled variable: about one letter in ten is
missing or wrong."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One line of `qa-worker settings`."""

    name: str
    default: str
    meaning: str
    secret: bool


_GROUPS: tuple[tuple[str, type[SettingsGroup]], ...] = (
    ("QA_", WorkerSettings),
    ("KAFKA_", KafkaSettings),
    ("SCHEMA_REGISTRY_", SchemaRegistrySettings),
)
_SHARED_PREFIXES = ("KAFKA_", "SCHEMA_REGISTRY_")
"""Prefixes of variables that other containers and tools have too."""

_CREDENTIALS = re.compile(r"//\S*@")
"""In a URL, which is refused for them; the error goes to a log."""

# Kubernetes puts QA_WORKER_SERVICE_HOST and the like into every pod beside a service "qa-worker".
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT(_.+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_.+)?$")


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read `environment`, by default the process's own. Raises `SettingsError`."""
    settings = validate(os.environ if environment is None else environment)
    if isinstance(settings, Settings):
        return settings
    raise SettingsError(settings[0])


def validate(environment: Mapping[str, str]) -> Settings | list[str]:
    """Return the settings, or a line for each problem."""
    problems = list(_unknown(environment))
    qa = _build("QA_", WorkerSettings, environment, problems)
    kafka = _build("KAFKA_", KafkaSettings, environment, problems)
    registry = _build("SCHEMA_REGISTRY_", SchemaRegistrySettings, environment, problems)
    if qa is None or kafka is None or registry is None or problems:
        return problems
    try:
        return Settings(qa, kafka, registry)
    except SettingsError as error:
        return [str(error)]


def find_misspelled(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each `KAFKA_...` or `SCHEMA_REGISTRY_...` variable whose name nearly equals
    a setting's.

    They do not stop the start: other containers and tools use the prefix too.
    """
    known = _names()
    for name, value in sorted(environment.items()):
        # Beside a service "schema-registry" every pod has a SCHEMA_REGISTRY_PORT.
        is_ours = name in known or _is_service_link(name, value)
        if name.startswith(_SHARED_PREFIXES) and not is_ours:
            for near in difflib.get_close_matches(name, known, n=1, cutoff=_TYPO_SIMILARITY):
                yield f"unknown setting {name}; did you mean {near}?"


def find_doubtful(settings: Settings) -> Iterator[str]:
    """Yield a line for each combination that defeats its purpose. They do not stop the start."""
    session_ms = settings.kafka.session_timeout_ms
    grace_seconds = settings.qa.termination_grace_period_seconds
    if settings.kafka.group_instance_id and session_ms < grace_seconds * 1000:
        yield (
            f"KAFKA_SESSION_TIMEOUT_MS ({session_ms}) should be at least "
            f"QA_TERMINATION_GRACE_PERIOD_SECONDS ({grace_seconds:g}) with "
            f"KAFKA_GROUP_INSTANCE_ID: a restart that takes longer than the session timeout moves "
            f"the partitions"
        )


def variables() -> Iterator[Variable]:
    """Yield all variables, group by group."""
    for prefix, group in _GROUPS:
        for name, field in group.model_fields.items():
            # A computed default depends on the machine: it is described, not shown.
            unset = field.default is None or field.default_factory is not None
            yield Variable(
                name=prefix + name.upper(),
                default="" if unset else _show(field.default),
                meaning=field.description or "",
                secret=_is_secret(field),
            )


def current(settings: Settings) -> dict[str, str]:
    """Map each variable's name to its value. Secrets are masked."""
    return {
        prefix + name.upper(): "" if value is None else _show(value)
        for prefix, group in (
            ("QA_", settings.qa),
            ("KAFKA_", settings.kafka),
            ("SCHEMA_REGISTRY_", settings.schema_registry),
        )
        for name, value in group
    }


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *get_args(field.annotation))


def _names() -> list[str]:
    """All variables, with `..._FILE` for each secret."""
    known = list(variables())
    return [v.name for v in known] + [f"{v.name}_FILE" for v in known if v.secret]


def _unknown(environment: Mapping[str, str]) -> Iterator[str]:
    known = _names()
    for name, value in sorted(environment.items()):
        if not name.startswith("QA_") or name in known or _is_service_link(name, value):
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        yield f"unknown setting {name}; did you mean {near[0]}?"


def _is_service_link(name: str, value: str) -> bool:
    # A bare ..._PORT could be a typo, but no port setting takes a value like tcp://10.0.0.1:80.
    return bool(_SERVICE_LINK.search(name)) or (name.endswith("_PORT") and "://" in value)


def _build(
    prefix: str, group: type[G], environment: Mapping[str, str], problems: list[str]
) -> G | None:
    """Return the group, or `None` after adding its problems to `problems`."""
    values = {}
    for name, field in group.model_fields.items():
        variable = prefix + name.upper()
        value = environment.get(variable)
        if _is_secret(field):
            try:
                value = _from_file(variable, value, environment)
            except SettingsError as error:
                problems.append(str(error))
                return None
        # An empty variable counts as unset: compose files and charts write unset ones so.
        if value:
            values[name] = value
    try:
        return group.model_validate(values)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            message = each["msg"].removeprefix("Value error, ")
            if each["loc"]:
                name = str(each["loc"][0])
                hidden = _is_secret(group.model_fields[name])
                given = _CREDENTIALS.sub("//***@", values.get(name, ""))
                shown = "its value" if hidden else repr(given)
                message = f"{prefix}{name.upper()} is {shown}: {message}"
            problems.append(message)
        return None


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
