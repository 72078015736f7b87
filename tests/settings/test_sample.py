"""`QA_SAMPLE`: a share, with a group of its own and without replies."""

import pytest

from worker.settings import SettingsError
from worker.settings.environment import load

SHADOW = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "KAFKA_GROUP_ID": "shadow"}


def test_every_question_is_in_the_default_sample() -> None:
    assert load({}).qa.sample == 1.0


@pytest.mark.parametrize("share", ["0.1", "1", "1e-9"])
def test_a_share_is_accepted(share: str) -> None:
    assert load({**SHADOW, "QA_SAMPLE": share}).qa.sample == float(share)


@pytest.mark.parametrize("share", ["0", "-0.1", "1.1", "nan", "ten"])
def test_what_is_no_share_is_refused(share: str) -> None:
    with pytest.raises(SettingsError, match=f"QA_SAMPLE is '{share}'"):
        load({**SHADOW, "QA_SAMPLE": share})


def test_a_sample_needs_a_group_of_its_own() -> None:
    with pytest.raises(SettingsError, match=r"QA_SAMPLE \(0.5\) below 1 needs a group of its own"):
        load({"QA_SAMPLE": "0.5"})
    load({"QA_SAMPLE": "1"})


def test_a_sample_sends_no_replies() -> None:
    environment = {**SHADOW, "QA_SAMPLE": "0.5", "QA_REPLY_TOPICS": "replies"}
    with pytest.raises(SettingsError, match=r"QA_SAMPLE \(0.5\) below 1 needs an empty QA_REPLY"):
        load(environment)
    load({**environment, "QA_SAMPLE": "1"})
