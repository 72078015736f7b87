"""Output of the commands: consoles for stdout and stderr, a progress bar, marked answers."""

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
        # A pipe or a file has no width; rich would assume 80 columns.
        console = Console(stderr=stderr, highlight=False, width=_PIPED_WIDTH)
    return console


_PIPED_WIDTH = 140

out = _console()
err = _console(stderr=True)

_CONTEXT_CHARACTERS = 60
"""Characters of the context on each side of an answer."""


def progress() -> Progress:
    """A progress bar on stderr, so that stdout can be piped."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        # Each redraw takes milliseconds of CPU time from inference.
        refresh_per_second=2,
    )


def marked(context: str, start: int, end: int) -> Text:
    """The span `context[start:end]` between ▸ and ◂, in colour, with the context around it."""
    text = Text()
    left = max(0, start - _CONTEXT_CHARACTERS)
    right = min(len(context), end + _CONTEXT_CHARACTERS)
    text.append("…" if left else "")
    text.append(_one_line(context[left:start]))
    text.append(f"▸{_one_line(context[start:end])}◂", style="bold black on green")
    text.append(_one_line(context[end:right]))
    text.append("…" if right < len(context) else "")
    return text


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ")
