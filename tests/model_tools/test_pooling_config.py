"""How sentence-transformers say that token vectors become one."""

import json
from pathlib import Path
from typing import Any

import pytest

from worker.model_tools.pooling_config import find_pooling
from worker.models.bundle import BundleError
from worker.models.manifest import Pooling

NORMALIZE = {"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}
TRANSFORMER = {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}


def published(directory: Path, modules: Any = None, **pooling: Any) -> Path:
    if pooling:
        (directory / "1_Pooling").mkdir()
        (directory / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    if modules is not None:
        (directory / "modules.json").write_text(json.dumps(modules))
    return directory


def refusal(directory: Path) -> str:
    with pytest.raises(BundleError) as caught:
        find_pooling(directory, None, None)
    return str(caught.value)


@pytest.mark.parametrize(
    ("flag", "mode"), [("pooling_mode_mean_tokens", "mean"), ("pooling_mode_cls_token", "cls")]
)
def test_active_pooling_mode_is_read(tmp_path: Path, flag: str, mode: Any) -> None:
    flags = {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": False, flag: True}
    directory = published(tmp_path, [TRANSFORMER], word_embedding_dimension=12, **flags)
    assert find_pooling(directory, None, None) == Pooling(mode=mode, normalize=False)


def test_normalize_module_is_found(tmp_path: Path) -> None:
    assert find_pooling(published(tmp_path, [TRANSFORMER, NORMALIZE]), None, None) == Pooling(
        mode="mean", normalize=True
    )


def test_missing_files_give_no_pooling(tmp_path: Path) -> None:
    assert find_pooling(tmp_path, None, None) is None


def test_arguments_override_the_files(tmp_path: Path) -> None:
    directory = published(tmp_path, [NORMALIZE], pooling_mode_cls_token=True)
    assert find_pooling(directory, "mean", None) == Pooling(mode="mean", normalize=True)
    assert find_pooling(directory, None, False) == Pooling(mode="cls", normalize=False)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"pooling_mode_max_tokens": True}, "pools max_tokens; the worker pools mean_tokens"),
        (
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
            "pools cls_token and mean_tokens; ",
        ),
        ({"pooling_mode_cls_token": False}, "pools nothing; "),
    ],
)
def test_unsupported_pooling_is_refused_without_an_argument(
    tmp_path: Path, flags: dict[str, bool], said: str
) -> None:
    directory = published(tmp_path, **flags)
    assert said in refusal(directory)
    assert find_pooling(directory, "mean", None) == Pooling()


@pytest.mark.parametrize("modules", [{}, ["text"], "text"])
def test_invalid_modules_are_refused(tmp_path: Path, modules: Any) -> None:
    assert "not a list of modules" in refusal(published(tmp_path, modules))


def test_invalid_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("{")
    assert "modules.json: not JSON" in refusal(tmp_path)
