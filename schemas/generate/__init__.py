"""Generates `schemas/published`: a JSON Schema of each event, and an AsyncAPI document of topics.

Not part of the wheel. Only `asyncapi.py` reads the worker's code, for the defaults of the topics.
"""
