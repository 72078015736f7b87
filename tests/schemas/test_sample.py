"""The sample of events by the hash of their ids: what other systems compute as well."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.sample import in_sample

GOLDEN = {
    # printf '%s' ID | sha256sum | cut -c1-16
    "q-1": 0x8A3E90BA8A519E1E,
    "q-2": 0x550C8741449C03A7,
    "é": 0x4A99557E4033C353,
    "qa.questions-0-4": 0x3931A119EB04A134,
}
SHARES = st.floats(0, 1, exclude_min=True)


@pytest.mark.parametrize("event_id", GOLDEN)
def test_an_id_is_in_the_samples_above_its_number(event_id: str) -> None:
    # The smallest float above the number's share, and the largest that is not above it.
    share = GOLDEN[event_id] / 2**64
    above = share + 2**-52
    assert in_sample(event_id, above)
    assert not in_sample(event_id, share - 2**-52)


@given(st.text(), SHARES)
@example("any", 1.0)
def test_a_sample_is_contained_in_each_larger_one(event_id: str, share: float) -> None:
    if in_sample(event_id, share / 2):
        assert in_sample(event_id, share)
    assert in_sample(event_id, 1.0)


def test_a_sample_has_about_its_share_of_the_ids() -> None:
    ids = [f"q-{number}" for number in range(20_000)]
    # Four standard deviations of a binomial share.
    for share in (0.01, 0.1, 0.5):
        found = sum(in_sample(each, share) for each in ids)
        assert abs(found - share * 20_000) < 4 * (20_000 * share * (1 - share)) ** 0.5


def test_the_guides_rule_and_table_are_this_one() -> None:
    text = (Path(__file__).parents[2] / "schemas" / "INTEGRATION.md").read_text()
    section = text.split("\n## Samples\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    guide: dict[str, Any] = {}
    exec(block, guide)
    rows = re.findall(r"^\| `(.+)` \| `(\w{16})` \| ([\d.]+) \|$", section, re.MULTILINE)
    assert {event_id: int(number, 16) for event_id, number, _ in rows} == GOLDEN
    for event_id, _, share in rows:
        for rule in (guide["in_sample"], in_sample):
            assert rule(event_id, float(share) + 1e-5)
            assert not rule(event_id, float(share) - 1e-5)
