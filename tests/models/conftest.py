"""Bundles to open."""

from tests.inference.conftest import default_bundle, tiny_bundle

__all__ = ["default_bundle", "tiny_bundle"]
