"""Which processors need unsigned weights, and that these change nothing but the speed."""

from pathlib import Path

import numpy as np
import pytest

from worker.inference import onnx_session as session_module
from worker.inference.cpu_features import int8_saturates
from worker.inference.onnx_session import UNSIGNED_WEIGHTS, OnnxSession, SessionOptions
from worker.inference.window import Window
from worker.models.bundle import Bundle


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "saturates"),
    [
        ("x86_64", "processor\t: 0\nflags\t\t: fpu sse avx2 avx512f\n", True),
        ("x86_64", "flags\t\t: fpu avx2 avx512f avx512_vnni\n", False),
        ("AMD64", "flags\t\t: fpu avx2 avx_vnni\n", False),
        ("x86_64", "model name\t: a avx_vnni impostor\n", True),
        ("x86_64", None, True),
        ("aarch64", None, False),
    ],
)
def test_only_x86_without_vnni_saturates(
    tmp_path: Path, machine: str, cpuinfo: str | None, saturates: bool
) -> None:
    if cpuinfo is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/cpuinfo").write_text(cpuinfo)
    assert int8_saturates(tmp_path, machine) is saturates


def test_unsigned_weights_give_the_same_numbers(
    default_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    if int8_saturates():
        pytest.skip("a processor without VNNI: signed weights saturate here")
    ids = np.arange(1000, 1200)
    window = Window(ids=ids, types=np.zeros_like(ids), offset=1, first=0, count=198)
    (expected,) = OnnxSession(default_bundle, SessionOptions()).run([window])
    monkeypatch.setattr(session_module, "int8_saturates", lambda: True)
    unsigned = OnnxSession(default_bundle, SessionOptions())
    options = unsigned._session.get_session_options()
    assert options.get_session_config_entry(UNSIGNED_WEIGHTS) == "1"
    (found,) = unsigned.run([window])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
