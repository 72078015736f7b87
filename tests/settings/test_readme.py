"""The table in worker/settings/README.md."""

from worker.settings.generate_readme import README, with_table


def test_the_settings_table_is_generated_from_the_settings() -> None:
    text = README.read_text("utf-8")
    assert text == with_table(text), "run: make generate"
