"""The README's tables that are made from the code. `python -m tests.readme` writes them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from worker.settings.environment import variables

README = Path(__file__).parent.parent / "README.md"


def settings_table() -> str:
    rows = [
        f"| `{variable.name}` | {variable.default or '–'} | {variable.meaning} |\n"
        for variable in variables()
    ]
    return "".join(["| Variable | Default | Meaning |\n", "|---|---|---|\n", *rows])


TABLES: Mapping[str, Callable[[], str]] = {"settings": settings_table}


def with_tables(text: str) -> str:
    """The README with its tables as they should be."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: python -m tests.readme -->\n", f"<!-- end of {name} -->\n"
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = before + begin + table() + end + after
    return text


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
