"""Generates the table of settings in `worker/settings/README.md`.

`python -m worker.settings.generate_readme` writes it; the text around the table stays as it is.
"""

from pathlib import Path

from worker.settings.environment import variables

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- table: make generate -->\n", "<!-- end of table -->\n"


def table() -> str:
    """A Markdown row for each variable: name, default, meaning."""
    rows = [
        f"| `{variable.name}` | {variable.default or '–'} | {variable.meaning} |\n"
        for variable in variables()
    ]
    return "".join(["| Variable | Default | Meaning |\n", "|---|---|---|\n", *rows])


def with_table(text: str) -> str:
    """The README's text with its table generated anew. Raises `ValueError` without the markers."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + table() + END + after


if __name__ == "__main__":
    README.write_text(with_table(README.read_text("utf-8")), "utf-8")
