"""Bundles to read with."""

from tests.inference.conftest import (
    default_bundle,
    reader,
    tiny_bundle,
    tiny_defaults,
    tiny_reader,
)

__all__ = ["default_bundle", "reader", "tiny_bundle", "tiny_defaults", "tiny_reader"]
