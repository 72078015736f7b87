"""Tells whether the processor saturates when it adds products of int8 numbers.

x86 processors without VNNI add two products in 16 bits first, and saturate at the limits of 16
bits: an int8 model gives other and worse answers there. onnxruntime can use unsigned weights
instead, whose sums fit, at half the speed. With VNNI both give the same numbers.
"""

import platform
from pathlib import Path

_X86 = frozenset({"x86_64", "amd64"})
_EXACT = frozenset({"avx512_vnni", "avx_vnni"})


def int8_saturates(root: Path = Path("/"), machine: str | None = None) -> bool:
    """If /proc/cpuinfo is unreadable, an x86 processor is assumed to saturate.

    `root` is the directory that contains /proc.
    """
    if (machine or platform.machine()).lower() not in _X86:
        return False
    try:
        lines = (root / "proc/cpuinfo").read_text().splitlines()
    except OSError:
        return True
    flags = next((line for line in lines if line.startswith("flags")), "")
    return _EXACT.isdisjoint(flags.split())
