"""Benchmarks: each a module to run, each prints its table. Never asserted in tests."""
