"""Selects onnxruntime's execution providers by the names that QA_PROVIDERS takes. Pure."""

from collections.abc import Mapping, Sequence
from enum import StrEnum


class Provider(StrEnum):
    """An execution provider."""

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
    """This machine or this installation lacks a requested provider."""


def choose(
    wanted: Sequence[Provider], available: Sequence[str], *, fallback: bool
) -> list[Provider]:
    """The providers to request, in order; the CPU is always included, as onnxruntime requires.

    `available` are onnxruntime's own names. With `fallback`, providers that are not available are
    left out; without it, they raise `ProviderError`.
    """
    missing = [provider for provider in wanted if REGISTERED[provider] not in available]
    if missing and not fallback:
        raise ProviderError(absent(missing[0]))
    chosen = [provider for provider in wanted if provider not in missing]
    return chosen if Provider.CPU in chosen else [*chosen, Provider.CPU]


def absent(provider: Provider) -> str:
    """The message for a provider that is not available."""
    package = _PACKAGES.get(provider)
    install = f"install {package} instead of onnxruntime, or " if package else ""
    return (
        f"QA_PROVIDERS: {provider} is not available here: {install}remove it from the list, or "
        f"allow the next one with QA_PROVIDER_FALLBACK=true"
    )
