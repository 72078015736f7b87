"""Metrics, logs, probes. Called by all rooms, calls none."""
