"""The README says what the code does."""

from schemas.rejection import Reason
from tests.readme import README, with_settings


def test_the_table_of_settings_is_that_of_the_code() -> None:
    text = README.read_text()
    assert text == with_settings(text), "run: python -m tests.readme"


def test_every_reason_for_a_dead_letter_is_named() -> None:
    text = README.read_text()
    assert [reason for reason in Reason if f"`{reason}`" not in text] == []
