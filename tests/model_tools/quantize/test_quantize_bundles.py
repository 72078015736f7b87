"""Bundles to int8 ones: what stays of them, what goes, and what is left after a refusal."""

from pathlib import Path

import pytest

from tests.inference.manifests import calibration
from tests.model_tools import published_models as published
from tests.model_tools.int8_models import CONFIGS, DISTILBERT, wide_weights
from tests.model_tools.word_models import word_bundle
from worker.inference.onnx_session import OnnxSession, SessionOptions
from worker.model_tools.build import BuiltBundle, build_bundle, quantize_bundle
from worker.model_tools.manifest_writer import Provenance, read_config, write_manifest
from worker.model_tools.quantize.quantize import Method, describe
from worker.model_tools.source_files import names_in, select_files
from worker.models.bundle import Bundle, BundleError, open_bundle
from worker.models.manifest import MANIFEST, MODEL, Pooling, RecordedScores

SCORES = RecordedScores(data="dev", questions=2, exact_match=50.0, f1=75.0, decoder="joint")


@pytest.fixture(scope="module", params=CONFIGS)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    config = CONFIGS[request.param]
    return word_bundle(tmp_path_factory.mktemp("float"), config, wide_weights(config))


def made(bundle: Bundle, target: Path, method: Method = Method.PER_TOKEN) -> BuiltBundle:
    target.parent.mkdir(exist_ok=True)
    origin = Provenance.of(bundle.manifest, target.name)
    return quantize_bundle(bundle, target, origin, method=method)


@pytest.mark.parametrize("method", Method)
def test_quantized_bundle_records_its_method(
    tmp_path: Path, bundle: Bundle, method: Method
) -> None:
    result = made(bundle, tmp_path / "store" / "small", method).bundle
    assert result == open_bundle(tmp_path / "store" / "small")
    OnnxSession(result, SessionOptions())
    files = {**bundle.manifest.files, MODEL: result.manifest.sha256}
    assert result.manifest == bundle.manifest.model_copy(
        update={
            "name": "small",
            "precision": "int8",
            "method": describe(method),
            "batch_invariant": method is Method.PER_TOKEN,
            "files": files,
        }
    )
    assert result.manifest.sha256 != bundle.manifest.sha256
    assert describe(Method.PER_TOKEN) != describe(Method.DYNAMIC)


def test_quantizing_keeps_provenance_and_drops_what_was_measured(tmp_path: Path) -> None:
    directory = word_bundle(tmp_path / "float", DISTILBERT, wide_weights(DISTILBERT)).directory
    (directory / "README.md").write_bytes(published.CARD)
    origin = Provenance("float", "ada/x", "c0ffee", None, 40, True, None, (SCORES,), calibration())
    manifest = write_manifest(directory, origin)
    result = made(open_bundle(directory), tmp_path / "store" / "small").bundle.manifest
    assert (result.source, result.revision, result.max_tokens) == ("ada/x", "c0ffee", 40)
    assert (result.knows_no_answer, result.scores, result.calibration) == (True, (), None)
    assert result.files["README.md"] == manifest.files["README.md"]


def test_quantizing_keeps_pooling(tmp_path: Path) -> None:
    weights = wide_weights(DISTILBERT, head=False)
    word_bundle(tmp_path / "float", DISTILBERT, weights)
    pooling = Pooling(mode="cls", normalize=True)
    write_manifest(tmp_path / "float", Provenance("float", pooling=pooling))
    source = open_bundle(tmp_path / "float")
    assert made(source, tmp_path / "store" / "int8").bundle.manifest.pooling == pooling


def test_quantizing_during_and_after_the_build_is_equal(tmp_path: Path) -> None:
    source = published.write(tmp_path / "source", published.safetensors(DISTILBERT))
    contents, store = select_files(names_in(source), "source"), tmp_path / "store"
    first = build_bundle(source, contents, store / "float", Provenance("float", "ada/x")).bundle
    for method in Method:
        at_once = build_bundle(
            source, contents, store / f"once-{method}", Provenance("same", "ada/x"), method=method
        ).bundle
        origin = Provenance.of(first.manifest, "same")
        later = quantize_bundle(first, store / f"later-{method}", origin, method=method).bundle
        assert at_once.manifest == later.manifest
        assert at_once.manifest.precision == "int8"
    assert read_config(store / "float") == dict(DISTILBERT)


def test_refused_quantization_leaves_nothing(tmp_path: Path, bundle: Bundle) -> None:
    int8 = made(bundle, tmp_path / "first" / "int8").bundle
    with pytest.raises(BundleError, match="is int8; only float32 is quantized"):
        made(int8, tmp_path / "store" / "again")
    assert list((tmp_path / "store").iterdir()) == []


def test_refused_quantization_keeps_the_old_bundle(tmp_path: Path, bundle: Bundle) -> None:
    int8 = made(bundle, tmp_path / "store" / "int8").bundle
    before = (int8.directory / MANIFEST).read_bytes()
    with pytest.raises(BundleError, match="exists; choose another --name"):
        made(bundle, int8.directory)
    with pytest.raises(BundleError, match="only float32"):
        quantize_bundle(
            int8, int8.directory, Provenance("int8"), method=Method.PER_TOKEN, overwrite=True
        )
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["int8"]
    assert (int8.directory / MANIFEST).read_bytes() == before
    open_bundle(int8.directory)


def test_refused_export_names_the_bundle(tmp_path: Path) -> None:
    source = published.write(tmp_path / "source", published.export())
    contents = select_files(names_in(source), "source")
    with pytest.raises(BundleError) as caught:
        build_bundle(
            source, contents, tmp_path / "store" / "x", Provenance("x"), method=Method.PER_TOKEN
        )
    assert str(caught.value).startswith("x/model.onnx: has no linear layer to quantize")
    assert list((tmp_path / "store").iterdir()) == []
