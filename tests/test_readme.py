"""The README says what the code does."""

from schemas.rejection import Reason
from tests.readme import README, with_tables


def test_its_tables_are_those_of_the_code() -> None:
    text = README.read_text()
    assert text == with_tables(text), "run: python -m tests.readme"


def test_every_reason_for_a_dead_letter_is_named() -> None:
    text = README.read_text()
    assert [reason for reason in Reason if f"`{reason}`" not in text] == []
