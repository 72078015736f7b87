"""CHANGELOG.md has a dated section for the version, from which the release notes are cut."""

from datetime import date
from pathlib import Path

import pytest

from deploy.release.changelog import Entry, entries, release_notes
from deploy.release.checks import version_of

ROOT = Path(__file__).parents[3]
CHANGELOG = """# Changelog

## [Unreleased]

## [1.1.0] - 2026-02-03

### Added

- Two.

## [1.0.0] - 2026-01-02

- One.
"""


def test_the_version_has_dated_notes_above_all_others() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert release_notes(changelog, version_of(ROOT))
    released = [entry for entry in entries(changelog) if entry.date]
    assert released[0].version == version_of(ROOT)
    dates = [entry.date for entry in released]
    assert dates == sorted(dates, key=lambda day: day or date.min, reverse=True)


def test_sections_are_read_with_version_date_and_notes() -> None:
    assert list(entries(CHANGELOG)) == [
        Entry("Unreleased", None, ""),
        Entry("1.1.0", date(2026, 2, 3), "### Added\n\n- Two."),
        Entry("1.0.0", date(2026, 1, 2), "- One."),
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("- Two.", "", ""),
        ("1.1.0] - 2026-02-03", "1.1.1] - 2026-02-03", r"no section '## \[1\.1\.0\] - date'"),
        (" - 2026-02-03", "", r"no section '## \[1\.1\.0\] - date'"),
        ("2026-02-03", "2026-02-30", "day is out of range|day 30 must be"),
        ("## [1.1.0] - ", "## 1.1.0 - ", "is not of the form"),
        ("[Unreleased]\n", "[Unreleased]\n\n- Three.\n", r"has notes: move them below"),
    ],
)
def test_what_is_wrong_with_a_changelog_is_named(old: str, new: str, problem: str) -> None:
    changelog = CHANGELOG.replace(old, new)
    if not problem:
        assert release_notes(changelog, "1.1.0") == "### Added\n"
        return
    with pytest.raises(ValueError, match=problem):
        release_notes(changelog, "1.1.0")
