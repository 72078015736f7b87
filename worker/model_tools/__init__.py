"""Builds and measures model bundles. Not imported by the serving path."""
