"""What can go wrong where bundles are made, beside what can where they are opened."""

from worker.models.bundle import BundleError


class ConvertError(BundleError):
    """These weights cannot become a graph; the message says why, in one line."""


class TokenizerError(BundleError):
    """This directory has no tokenizer that a bundle can have; the message says why, in one line."""


class ContentsError(BundleError):
    """These files make no bundle; the message says what is missing, or why a file is not used."""


class QuantizeError(BundleError):
    """This graph cannot be quantized; the message says why, in one line."""
