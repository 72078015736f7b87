"""`qa-worker` as a process of its own, with directories and a hub of the test's.

The hub's client reads its environment when it is imported; so each command has its own.
"""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.forked import Done, Forked, run_forked
from tests.model_tools.hub_server import HubServer

_OWN = ("QA_", "KAFKA_", "HF_", "HUGGING", "XDG_", "AGENT")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@dataclass
class Machine:
    """A user's home, in which commands run. `variables` are added to their environment."""

    home: Path
    hub: HubServer | None = None
    variables: dict[str, str] = field(default_factory=dict)
    terminal: int | None = None
    """The handle of what standard error is; `None`: it is returned."""

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_OWN) and not (self.hub and name.lower() in _PROXIES)
        }
        return {
            **inherited,
            "HOME": str(self.home),
            "HF_HOME": str(self.home / "hf"),
            # Else the client asks the hub who starts it.
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "QA_MODELS": str(self.models),
            **({"HF_ENDPOINT": self.hub.url} if self.hub else {}),
            **self.variables,
        }

    def start(self, *arguments: str | Path, **variables: str) -> Forked:
        with tempfile.TemporaryFile() as output:
            return Forked(
                "worker",
                *map(str, arguments),
                environment={**self.environment, **variables},
                output=output,
                errors=output,
                directory=self.home,
            )

    def run(self, *arguments: str | Path, **variables: str) -> Done:
        return run_forked(
            *map(str, arguments),
            environment={**self.environment, **variables},
            terminal=self.terminal,
            directory=self.home,
        )

    def hidden(self) -> list[str]:
        """Names in the store that are not bundles: leftovers."""
        return sorted(path.name for path in self.models.glob(".*"))


def complaint(done: Done) -> str:
    """The one line of a command that failed, its mark taken off."""
    assert (done.code, done.out) == (1, "")
    line, *rest = done.err.splitlines()
    assert rest == []
    assert line.startswith("qa-worker: ")
    return line.removeprefix("qa-worker: ")
