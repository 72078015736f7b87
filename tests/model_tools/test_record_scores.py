"""What a bundle scored, written into its manifest."""

from pathlib import Path

from tests.inference.bundles import tiny_bundle
from worker.model_tools.manifest_writer import record_scores
from worker.models.bundle import Bundle, open_bundle
from worker.models.manifest import MANIFEST, RecordedScores

DEV = RecordedScores(data="dev", questions=2, exact_match=50.0, f1=75.0, decoder="joint")


def recorded(bundle: Bundle, *all_scores: RecordedScores) -> tuple[RecordedScores, ...]:
    for scores in all_scores:
        record_scores(bundle, scores)
        bundle = open_bundle(bundle.directory)
    return bundle.manifest.scores


def test_scores_of_the_same_file_and_decoder_are_replaced(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "tiny")
    other_data = DEV.model_copy(update={"data": "xquad"})
    other_decoder = DEV.model_copy(update={"decoder": "per window"})
    better = DEV.model_copy(update={"exact_match": 51.0, "questions": 3})
    assert recorded(bundle, DEV) == (DEV,)
    again = recorded(open_bundle(bundle.directory), other_data, other_decoder, better)
    assert again == (other_data, other_decoder, better)


def test_recording_changes_only_the_scores(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "tiny")
    before = {path.name for path in bundle.directory.iterdir()}
    record_scores(bundle, DEV)
    after = open_bundle(bundle.directory).manifest
    assert after == bundle.manifest.model_copy(update={"scores": (DEV,)})
    assert {path.name for path in bundle.directory.iterdir()} == before
    assert (bundle.directory / MANIFEST).read_bytes() == after.to_json()
