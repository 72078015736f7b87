"""Every metric of the worker. Times in seconds, sizes in the unit of the name.

Declared here and nowhere else; whoever does the work counts it where it is done. Where the values
of a label are known, its series are there from the start: of one that begins at 1, no rate sees
that 1.
"""

from prometheus_client import Counter, Gauge, Histogram, Info

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SLOW = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21600)

# What the process is.
INFO = Info("qa_worker", "Version, and name, sha256, precision and provider of the model")
THREADS = Gauge("qa_inference_threads", "Threads that run the model")
READY = Gauge("qa_ready", "1 in the group, 0 opening, draining or without a session")
SILENCE = Gauge("qa_last_broker_contact_timestamp_seconds", "Time since the brokers last answered")

# Records in, records out.
RECORDS = Counter("qa_records", "Records taken from the questions topic", ["topic", "partition"])
ANSWERS = Counter(
    "qa_answers",
    "Answers delivered",
    ["topic", "partition"],
)
REJECTIONS = Counter("qa_rejections", "Dead letters delivered", ["reason"])
REJECTED_SHARE = Gauge(
    "qa_rejection_ratio",
    "Rejections among the last QA_DEAD_LETTER_LIMIT_RECORDS outcomes, as a share of so many: above "
    "QA_DEAD_LETTER_LIMIT_RATIO the worker stops",
)
IN_FLIGHT_RECORDS = Gauge("qa_in_flight_records", "Records taken and not yet delivered")
IN_FLIGHT_BYTES = Gauge("qa_in_flight_bytes", "Bytes of their values")
PENDING_TOKENS = Gauge("qa_pending_tokens", "Tokens that wait for the model or are in it")
LAG = Gauge(
    "qa_lag_records", "Records of an assigned partition not yet committed", ["topic", "partition"]
)

POSITION = Gauge(
    "qa_position_offset",
    "Offset of an assigned partition before which all is delivered",
    ["topic", "partition"],
)
DELAY = Histogram(
    "qa_end_to_end_latency_seconds",
    "From the timestamp of a question's record to the delivery of what became of it",
    buckets=_SLOW,
)

# The reader.
WINDOWS = Counter("qa_windows", "Windows run")
TOKENS_RUN = Counter("qa_tokens_run", "Tokens run, padding not counted")
TOKENS_PADDED = Counter("qa_tokens_padded", "Tokens run that were padding")
BATCH_WINDOWS = Histogram(
    "qa_batch_windows", "Windows in a batch", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
BATCH_TOKENS = Histogram(
    "qa_batch_tokens", "Padded tokens in a batch", buckets=(64, 128, 256, 384, 512, 1024, 4096)
)
BATCH_SPLITS = Counter("qa_batch_splits", "Batches halved because the model raised on them")
QUEUE_AGE = Histogram(
    "qa_queue_wait_seconds", "How long the oldest window of a batch waited", buckets=_FAST
)
STAGE = Histogram(
    "qa_stage_seconds",
    "Time of one step: decode and encode and spans of an event, run of a batch, publish of what is "
    "delivered together, total from poll to delivery",
    ["stage"],
    buckets=_FAST,
)

# Delivery.
COMMITS = Counter("qa_commits", "Commits of offsets, or of transactions", ["outcome"])
for _outcome in ("done", "rebalanced", "timed_out", "failed"):
    COMMITS.labels(_outcome)
REBALANCES = Counter("qa_rebalances", "Changes of the assignment", ["event"])
for _event in ("revoked", "assigned"):
    REBALANCES.labels(_event)
ASSIGNED = Gauge("qa_assigned_partitions", "Partitions that this worker reads")
SESSIONS = Counter("qa_sessions", "Times that consumer and producer were opened", ["outcome"])
for _outcome in ("opened", "broken"):
    SESSIONS.labels(_outcome)
REBUILDS = Counter("qa_partition_restarts", "New fences after a transaction that failed")
DROPPED = Counter(
    "qa_discarded_records",
    "Records in flight when their partition was lost or rebuilt; whoever reads it reads them again",
)
