"""Which of onnxruntime's execution providers a session asks for, by the names of our settings.

Pure: what is available is passed in.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum


class Provider(StrEnum):
    """Where a model can run."""

    CPU = "cpu"
    CUDA = "cuda"
    OPENVINO = "openvino"


REGISTERED: Mapping[Provider, str] = {
    Provider.CPU: "CPUExecutionProvider",
    Provider.CUDA: "CUDAExecutionProvider",
    Provider.OPENVINO: "OpenVINOExecutionProvider",
}
"""onnxruntime's own names."""

_PACKAGES = {Provider.CUDA: "onnxruntime-gpu", Provider.OPENVINO: "onnxruntime-openvino"}


class ProviderError(Exception):
    """A provider was asked for that this machine or this installation does not have."""


def choose(
    wanted: Sequence[Provider], available: Sequence[str], *, fallback: bool
) -> list[Provider]:
    """What to ask onnxruntime for, in order; the CPU is always last, as onnxruntime has it.

    With `fallback` what is missing is left out. Raises `ProviderError` without it.
    """
    missing = [provider for provider in wanted if REGISTERED[provider] not in available]
    if missing and not fallback:
        raise ProviderError(absent(missing[0]))
    chosen = [provider for provider in wanted if provider not in missing]
    return chosen if Provider.CPU in chosen else [*chosen, Provider.CPU]


def absent(provider: Provider) -> str:
    """What to do about a provider that is not there."""
    package = _PACKAGES.get(provider)
    install = f"install {package} in the place of onnxruntime, or " if package else ""
    return (
        f"QA_PROVIDERS: {provider} is not available here: {install}take it off the list, or "
        f"allow the next one with QA_PROVIDER_FALLBACK=true"
    )
