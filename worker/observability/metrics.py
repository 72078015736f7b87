"""Declares every metric of the worker, named as Prometheus' practices recommend.

This module imports no other module of the worker. The module that does the work updates a metric.

Rules for a new metric (https://prometheus.io/docs/practices/naming/ and .../instrumentation/):

- Base units, named in the suffix: seconds, bytes, ratio. A timestamp is Unix time in seconds, so
  that PromQL computes the age; a metric that is itself an age would stand still with the worker.
- A counter counts one kind of event, so that a sum over its labels has a meaning.
- Series whose labels are known in advance exist from the start: `rate()` does not see the first
  increment of a series that begins at 1.
- A panel or an alert uses it (tests/deploy/test_alerts.py), and README.md beside this file lists it
  (tests/observability/test_readme.py).
"""

from prometheus_client import Counter, Gauge, Histogram, Info

_STAGE_BUCKETS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
"""Seconds. Decoding a question takes 0.1 ms, a batch of 512 tokens 10 ms to 1 s."""

_WORKER_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Seconds inside the worker. Above 10 s the in-flight limits are too high for the model."""

_END_TO_END_BUCKETS = (
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    *(60, 120, 300, 600, 1800, 3600, 21600),
)
"""Seconds, time in the topic included: up to a backlog of six hours."""

# Process.
INFO = Info("qa_worker", "Version of the worker; name, sha256, precision and provider of its model")
THREADS = Gauge("qa_inference_threads", "Threads that run the model")
READY = Gauge("qa_ready", "1 while the worker is a member of the consumer group, otherwise 0")
LAST_BROKER_CONTACT = Gauge(
    "qa_last_broker_contact_timestamp_seconds",
    "Unix time of the last answer from a broker; before the first answer, of the worker's start",
)

# Records in.
CONSUMED_RECORDS = Counter(
    "qa_consumed_records", "Records polled from the questions topics", ["topic", "partition"]
)
IN_FLIGHT_RECORDS = Gauge("qa_in_flight_records", "Records polled and not yet delivered")
IN_FLIGHT_BYTES = Gauge(
    "qa_in_flight_bytes", "Bytes of the records in flight: keys, values and headers"
)
DISCARDED_RECORDS = Counter(
    "qa_discarded_records",
    "Records in flight when their partition was revoked or restarted; they are consumed again",
)
LAG = Gauge(
    "qa_lag_records",
    "Records of an assigned partition from its position to its high watermark",
    ["topic", "partition"],
)
HELD_UP_RECORDS = Gauge(
    "qa_held_up_records",
    "The part of the lag that cannot be read: records of an assigned partition from the first one "
    "of an open transaction to the high watermark",
    ["topic", "partition"],
)
EXPIRED_OFFSETS = Counter(
    "qa_expired_offsets",
    "Offsets that the group has not read and the topic's retention has deleted",
    ["topic", "partition"],
)
POSITION = Gauge(
    "qa_position_offset",
    "Offset of an assigned partition below which every record is delivered",
    ["topic", "partition"],
)
PARTITION_STOPPED = Gauge(
    "qa_partition_stopped",
    "1 for an assigned partition that stands still at a corrupt batch, otherwise absent",
    ["topic", "partition"],
)

# Schema registry.
SCHEMA_REGISTRY_REQUESTS = Counter(
    "qa_schema_registry_requests",
    "Schemas asked of the registry, by outcome: found, unknown (it does not have the schema), "
    "unusable, unavailable (no answer, or one that does not settle it; asked again)",
    ["outcome"],
)
for _outcome in ("found", "unknown", "unusable", "unavailable"):
    SCHEMA_REGISTRY_REQUESTS.labels(_outcome)
SCHEMA_REGISTRY_UNAVAILABLE = Gauge(
    "qa_schema_registry_unavailable",
    "1 while the worker needs a schema that the registry does not answer for, otherwise 0",
)
SCHEMA_WAITING_RECORDS = Gauge(
    "qa_schema_waiting_records",
    "Records of an assigned partition that wait for the schema registry; not counted as in flight",
    ["topic", "partition"],
)

# Records out.
ANSWERS = Counter(
    "qa_answers",
    "Answers, or embeddings, that the brokers acknowledged; unsure questions too",
    ["topic", "partition"],
)
VERDICTS = Counter(
    "qa_verdicts",
    "Acknowledged answers by what they say: answered, no_answer (the model prefers none), unsure "
    "(the score is below min_score; with QA_UNSURE_TOPIC the question went there)",
    ["verdict"],
)
for _verdict in ("answered", "no_answer", "unsure"):
    VERDICTS.labels(_verdict)
REJECTIONS = Counter("qa_rejections", "Dead letters that the brokers acknowledged", ["reason"])
PAST_DEADLINE = Counter(
    "qa_past_deadline_records",
    "Records whose deadline passed before the model read them, by what QA_EXPIRED did with them; "
    "counted when the brokers acknowledged their outcome or, for drop, their offset",
    ["mode"],
)
for _mode in ("dead_letter", "drop", "answer"):
    PAST_DEADLINE.labels(_mode)
OUT_OF_SAMPLE = Counter(
    "qa_out_of_sample_records",
    "Records that QA_SAMPLE leaves out, counted when their offset was delivered: neither answered "
    "nor rejected",
)
REJECTION_RATIO = Gauge(
    "qa_rejection_ratio",
    "Ratio of rejections to the last QA_DEAD_LETTER_LIMIT_RECORDS outcomes; the worker stops "
    "above QA_DEAD_LETTER_LIMIT_RATIO",
)
REPLIES = Counter(
    "qa_replies",
    "Questions that ask for a reply to a topic of their own, by outcome: answer, error (an error "
    "reply), dropped (the topic took no reply), not_allowed, unknown",
    ["outcome"],
)
for _outcome in ("answer", "error", "dropped", "not_allowed", "unknown"):
    REPLIES.labels(_outcome)
END_TO_END_LATENCY = Histogram(
    "qa_end_to_end_latency_seconds",
    "Time from a question's record timestamp to the acknowledgement of its answer or dead letter",
    ["topic"],
    buckets=_END_TO_END_BUCKETS,
)
RECORD_PROCESSING = Histogram(
    "qa_record_processing_seconds",
    "Time from a record's poll to the acknowledgement of its answer or dead letter",
    buckets=_WORKER_BUCKETS,
)
STAGE = Histogram(
    "qa_stage_seconds",
    "Time in a stage: schema (a wait for the registry), decode, preprocess and postprocess of a "
    "record, inference of a batch, "
    "publish of a record from the start of its delivery to its acknowledgement",
    ["stage"],
    buckets=_STAGE_BUCKETS,
)
for _stage in ("schema", "decode", "preprocess", "inference", "postprocess", "publish"):
    STAGE.labels(_stage)

# Inference.
PENDING_TOKENS = Gauge("qa_pending_tokens", "Tokens that wait for inference or are in it")
QUEUE_WAIT = Histogram(
    "qa_queue_wait_seconds",
    "Time that the oldest window of a batch waited for an inference thread",
    buckets=_WORKER_BUCKETS,
)
BATCH_WINDOWS = Histogram(
    "qa_batch_windows", "Windows in a batch", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
BATCH_TOKENS = Histogram(
    "qa_batch_tokens",
    "Tokens in a batch, padding included",
    buckets=(64, 128, 256, 384, 512, 1024, 2048, 4096),
)
BATCH_SPLITS = Counter("qa_batch_splits", "Batches halved because the model failed on them")
WINDOWS = Counter("qa_windows", "Windows that the model has run")
INFERENCE_TOKENS = Counter(
    "qa_inference_tokens", "Tokens that the model has run, padding not included"
)
QUEUE_TOKENS = Counter(
    "qa_queue_tokens",
    "Tokens that the model has run for a queue, padding not included; a queue is a questions topic",
    ["queue"],
)
PADDING_TOKENS = Counter("qa_padding_tokens", "Padding tokens that the model has run")

# Answer cache.
CACHE_LOOKUPS = Counter(
    "qa_cache_lookups",
    "Events looked up in the answer cache: it had the outcome (hit), an equal event was being read "
    "(wait), or neither (miss)",
    ["result"],
)
for _result in ("hit", "wait", "miss"):
    CACHE_LOOKUPS.labels(_result)
CACHE_BYTES = Gauge("qa_cache_bytes", "Memory of the outcomes in the answer cache")
CACHE_EVICTIONS = Counter(
    "qa_cache_evictions", "Outcomes that left the answer cache to make room for others"
)

# Kafka.
ASSIGNED_PARTITIONS = Gauge("qa_assigned_partitions", "Partitions assigned to this worker")
REBALANCES = Counter("qa_rebalances", "Rebalances that this worker has completed")
REVOCATIONS = Counter("qa_revocations", "Rebalances that revoked partitions of this worker")
SESSIONS_OPENED = Counter("qa_sessions_opened", "Sessions (consumer and producer) opened")
SESSION_FAILURES = Counter("qa_session_failures", "Sessions that failed, or could not be opened")
PARTITION_RESTARTS = Counter(
    "qa_partition_restarts", "Partitions restarted with a new fence after a failed transaction"
)
THROTTLE_TIME = Counter(
    "qa_throttle_time_seconds",
    "Time for which the brokers told the worker to wait because of a quota (throttle_time_ms), "
    "summed over its connections",
    ["request"],
)
for _request in ("produce", "fetch", "other"):
    THROTTLE_TIME.labels(_request)
COMMITS = Counter(
    "qa_commits", "Attempts to commit offsets or a transaction, by outcome", ["outcome"]
)
for _outcome in ("done", "rebalanced", "timed_out", "failed"):
    COMMITS.labels(_outcome)
