"""Does the processor add up products of int8 exactly?

x86 processors without VNNI add two products in 16 bits first, and what does not fit is cut off:
an int8 model would give other answers there than elsewhere, and worse ones. onnxruntime can take
unsigned weights instead, which fit, at half the speed; with VNNI both give the same numbers.
"""

import platform
from pathlib import Path

_X86 = frozenset({"x86_64", "amd64"})
_EXACT = frozenset({"avx512_vnni", "avx_vnni"})


def int8_saturates(root: Path = Path("/"), machine: str | None = None) -> bool:
    """Where it cannot be told, x86 does. `root` is where /proc is looked for."""
    if (machine or platform.machine()).lower() not in _X86:
        return False
    try:
        lines = (root / "proc/cpuinfo").read_text().splitlines()
    except OSError:
        return True
    flags = next((line for line in lines if line.startswith("flags")), "")
    return _EXACT.isdisjoint(flags.split())
