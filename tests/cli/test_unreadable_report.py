"""Batches that the dead-letter commands leave out."""

import pytest

from worker.cli.topic_reading import UnreadableReport
from worker.kafka.records import UnreadableBatch


def test_each_batch_that_is_left_out_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    report = UnreadableReport()
    for _ in range(2):
        report(UnreadableBatch("dead", 3, 17, 20, "its CRC is wrong", skipped=True))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        "qa-worker: dead partition 3: offsets 17 to 19 cannot be read and are left out: "
        "its CRC is wrong\n"
    )
