"""Questions in, answers out. Threads and futures; no Kafka, no asyncio."""
