"""What the commands show: tables, marked answers, progress bars."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        # Piped into a file or a log there is no terminal whose width would be known.
        console = Console(stderr=stderr, highlight=False, width=_PIPED_WIDTH)
    return console


_PIPED_WIDTH = 140

out = _console()
err = _console(stderr=True)

_AROUND = 60
"""Characters of context shown on each side of an answer."""


def progress() -> Progress:
    """A bar on stderr, so that stdout can be piped."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        # Drawing takes milliseconds of the processor that reading could use.
        refresh_per_second=2,
    )


def marked(context: str, start: int, end: int) -> Text:
    """The answer between marks (for logs) and in colour (for eyes), with some context around."""
    text = Text()
    left, right = max(0, start - _AROUND), min(len(context), end + _AROUND)
    text.append("…" if left else "")
    text.append(_flat(context[left:start]))
    text.append(f"▸{_flat(context[start:end])}◂", style="bold black on green")
    text.append(_flat(context[end:right]))
    text.append("…" if right < len(context) else "")
    return text


def _flat(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ")
