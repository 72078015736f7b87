"""Tests of the rooms that make bundles."""
