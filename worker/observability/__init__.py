"""Metrics, logs, traces and probes. Imported by the other packages, imports none of them."""
