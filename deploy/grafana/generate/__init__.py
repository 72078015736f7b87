"""Generates the Grafana dashboard from its rows and panels. Not part of the wheel."""
