"""The README's table of settings, made from settings.py. `python -m tests.readme` writes it."""

from pathlib import Path

from worker.environment import variables

README = Path(__file__).parent.parent / "README.md"
BEGIN = "<!-- settings: python -m tests.readme -->\n"
END = "<!-- end of settings -->\n"


def settings_table() -> str:
    rows = [
        f"| `{variable.name}` | {variable.default or '–'} | {variable.meaning} |\n"
        for variable in variables()
    ]
    return "".join(["| Variable | Default | Meaning |\n", "|---|---|---|\n", *rows])


def with_settings(text: str) -> str:
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + settings_table() + END + after


if __name__ == "__main__":
    README.write_text(with_settings(README.read_text()))
