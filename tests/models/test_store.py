"""From what QA_MODEL says to a directory, and where new models belong."""

import os
import pwd
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inference.bundles import write_bundle
from worker.models.bundle import DEFAULT_BUNDLE, BundleError
from worker.models.store import ModelStore, default_directory


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """With two models, seen from a directory in which nothing is."""
    for name in ("squad-large", "squad-small"):
        (tmp_path / "models" / name).mkdir(parents=True)
        write_bundle(tmp_path / "models" / name, name=name)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return ModelStore(tmp_path / "models")


def refusal(store: ModelStore, model: str) -> str:
    with pytest.raises(BundleError) as caught:
        store.resolve(model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What a model's name means.


def test_a_name_is_a_bundle_of_the_store(store: ModelStore) -> None:
    assert store.open("squad-small").name == "squad-small"
    assert store.resolve("squad-small") == store.directory / "squad-small"


def test_a_directory_is_itself(store: ModelStore, tmp_path: Path) -> None:
    assert store.resolve(str(tmp_path)) == tmp_path
    assert store.resolve("../models/squad-large") == Path("../models/squad-large")


def test_a_directory_here_goes_before_a_name_there(store: ModelStore) -> None:
    Path("squad-small").mkdir()
    assert store.resolve("squad-small") == Path("squad-small")


def test_the_default_is_the_embedded_model_wherever_the_worker_starts(store: ModelStore) -> None:
    Path("default").mkdir()
    (store.directory / "default").mkdir()
    assert store.resolve("default") == DEFAULT_BUNDLE
    assert store.resolve("./default") == Path("default")


def test_an_unknown_name_suggests_similar_names_and_pull(store: ModelStore) -> None:
    said = refusal(store, "squad-lage")
    assert said.startswith(
        f"'squad-lage' is neither a directory nor a model in {store.directory}; "
    )
    assert "similar names: squad-large, squad-small, default." in said
    assert "`qa-worker model pull REPO_ID --name NAME`" in said


def test_without_a_store_there_is_still_the_embedded_model_to_name(tmp_path: Path) -> None:
    assert "similar names: default." in refusal(ModelStore(tmp_path / "nowhere"), "large")


def test_a_repo_id_is_answered_with_the_command_that_fetches_it(store: ModelStore) -> None:
    assert refusal(store, "ada/large") == (
        "ada/large: no such directory; `qa-worker model pull ada/large` fetches a model "
        "of the hub, QA_MODEL=large uses it"
    )


def test_a_missing_directory_is_just_that(store: ModelStore) -> None:
    assert refusal(store, "/nowhere/large") == "/nowhere/large: no such directory"


@pytest.mark.parametrize("model", [".squad.qa-partial", "a b", "\0"])
def test_what_can_be_no_name_finds_nothing(store: ModelStore, model: str) -> None:
    (store.directory / ".squad.qa-partial").mkdir()
    assert "is neither a directory nor a model" in refusal(store, model)


# Where new ones belong.


def test_a_new_model_belongs_under_its_name(store: ModelStore) -> None:
    assert (
        store.target_directory("distilbert-base.v1_2") == store.directory / "distilbert-base.v1_2"
    )


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "-a", "a/b", "../a", "a b", "a\n", "x" * 97])
def test_a_name_that_cannot_be_is_refused(store: ModelStore, name: str) -> None:
    with pytest.raises(BundleError, match="is not a valid model name"):
        store.target_directory(name)


def test_the_embedded_models_name_is_taken(store: ModelStore) -> None:
    with pytest.raises(BundleError, match="'default' is the shipped model"):
        store.target_directory("default")


@given(st.text())
def test_whatever_the_name_the_place_is_right_below_the_store(name: str) -> None:
    directory = Path("/models")
    try:
        place = ModelStore(directory).target_directory(name)
    except BundleError:
        return
    assert Path(os.path.normpath(place)).parent == directory
    assert not place.name.startswith(".")


def test_names_are_sorted_and_without_what_is_unfinished(store: ModelStore) -> None:
    (store.directory / ".large.x.qa-partial").mkdir()
    (store.directory / "a-file").touch()
    assert store.names() == ["squad-large", "squad-small"]


# Where the store is.


def test_the_users_data_directory_is_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert ModelStore().directory == Path("/data/qa-worker/models")


@pytest.mark.parametrize("value", ["", "not/absolute"])
def test_without_one_it_is_in_the_home(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", value)
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_directory() == Path("/home/ada/.local/share/qa-worker/models")


def test_without_a_home_only_names_need_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("HOME")

    def no_such_user(_: int) -> pwd.struct_passwd:
        raise KeyError("a container's user has no entry")

    monkeypatch.setattr(pwd, "getpwuid", no_such_user)
    assert ModelStore().resolve("default") == DEFAULT_BUNDLE
    assert "set QA_MODELS" in refusal(ModelStore(), "large")
