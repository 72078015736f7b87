"""Runs events through a model. Threads and futures; no Kafka, no asyncio."""
