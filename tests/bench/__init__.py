"""Benchmarks. Each module is a program that prints a table; no test asserts the figures."""
