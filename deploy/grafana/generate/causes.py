"""The dashboard's lower rows: causes (the model, Kafka, the process)."""

from deploy.grafana.generate.panels import HERE, MINUTE, OF, Panel, Row, mean, quantiles, rate

_PADDING = f"sum({rate('qa_padding_tokens_total')})"
_TOKENS = f"sum({rate('qa_inference_tokens_total')})"

MODEL = Row(
    "Why? The model",
    (
        Panel(
            "Queue wait",
            "Time that the oldest window of a batch waited for an inference thread.",
            "s",
            quantiles("qa_queue_wait_seconds"),
        ),
        Panel(
            "Batches",
            "Windows in a batch, and batches halved per second because the model failed on them.",
            "short",
            (
                ("mean windows", mean("qa_batch_windows")),
                ("halved per second", f"sum({rate('qa_batch_splits_total')})"),
            ),
        ),
        Panel(
            "Tokens in a batch",
            "Mean number of tokens, padding included. The limit is QA_MAX_BATCH_TOKENS.",
            "short",
            (("tokens", mean("qa_batch_tokens")),),
        ),
        Panel(
            "Padding",
            "Share of padding in the tokens that the model ran. The limit is QA_MAX_PADDING.",
            "percentunit",
            (
                (
                    "padding",
                    f"{_PADDING} / ({_PADDING} + {_TOKENS})",
                ),
            ),
        ),
        Panel(
            "Windows and tokens",
            "Throughput of the model, padding not included.",
            "cps",
            (
                ("windows", f"sum({rate('qa_windows_total')})"),
                ("tokens", _TOKENS),
            ),
        ),
        Panel(
            "Tokens by topic",
            "Tokens per second that the model ran for each questions topic. While several have a "
            "backlog, in proportion to their weights in QA_QUESTIONS_TOPICS.",
            "cps",
            (("{{queue}}", f"sum by (queue) ({rate('qa_queue_tokens_total')})"),),
            stacked=True,
        ),
        Panel(
            "Pending tokens",
            "Tokens that wait for inference or are in it; above QA_MAX_IN_FLIGHT_TOKENS a worker "
            "polls no more records.",
            "short",
            (("{{instance}}", f"qa_pending_tokens{{{OF}}}"),),
        ),
        Panel(
            "Answer cache",
            "Events per second by what the answer cache had for them: the outcome (hit), an equal "
            "event that was being read (wait), or neither (miss). Only misses run the model.",
            "cps",
            (("{{result}}", f"sum by (result) ({rate('qa_cache_lookups_total')})"),),
        ),
        Panel(
            "Memory of the answer cache",
            "The limit is QA_CACHE_BYTES.",
            "bytes",
            (("{{instance}}", f"qa_cache_bytes{{{OF}}}"),),
        ),
        Panel(
            "Evictions from the answer cache",
            "Outcomes per second that left it to make room. If equal events still miss, a larger "
            "QA_CACHE_BYTES may help.",
            "cps",
            (("{{instance}}", f"sum by (instance) ({rate('qa_cache_evictions_total')})"),),
        ),
        Panel(
            "Verdicts",
            "Answers per second by what they say: answered, no_answer (the model prefers none), "
            "unsure (the score is below min_score).",
            "cps",
            (("{{verdict}}", f"sum by (verdict) ({rate('qa_verdicts_total')})"),),
            stacked=True,
        ),
    ),
)

KAFKA = Row(
    "Why? Kafka",
    (
        Panel(
            "Time since the last broker contact",
            "Time since a broker last answered. A few seconds are normal; the worker exits after "
            "QA_OUTAGE_SECONDS.",
            "s",
            (("{{instance}}", f"time() - qa_last_broker_contact_timestamp_seconds{{{OF}}}"),),
            thresholds=((MINUTE, "red"),),
        ),
        Panel(
            "Commits",
            "Attempts to commit offsets or a transaction, by outcome.",
            "cps",
            (("{{outcome}}", f"sum by (outcome) ({rate('qa_commits_total')})"),),
        ),
        Panel(
            "Throttled by quotas",
            "Seconds per second for which the brokers told the worker to wait because of a quota "
            "on its client id or user, summed over its connections. A throttled worker is slow; "
            "the brokers are not silent.",
            "short",
            (("{{request}}", f"sum by (request) ({rate('qa_throttle_time_seconds_total')})"),),
        ),
        Panel(
            "Rebalances and sessions",
            "Per interval. Each worker that joins or leaves causes a rebalance; a session that "
            "fails is replaced; a partition restarts after a failed transaction.",
            "short",
            (
                (
                    "rebalances",
                    f"max(increase(qa_rebalances_total{{{OF}}}[$__rate_interval]))",
                ),
                (
                    "rebalances that revoked",
                    f"max(increase(qa_revocations_total{{{OF}}}[$__rate_interval]))",
                ),
                (
                    "sessions opened",
                    f"sum(increase(qa_sessions_opened_total{{{OF}}}[$__rate_interval]))",
                ),
                (
                    "session failures",
                    f"sum(increase(qa_session_failures_total{{{OF}}}[$__rate_interval]))",
                ),
                (
                    "partition restarts",
                    f"sum(increase(qa_partition_restarts_total{{{OF}}}[$__rate_interval]))",
                ),
                (
                    "records discarded, consumed again",
                    f"sum(increase(qa_discarded_records_total{{{OF}}}[$__rate_interval]))",
                ),
            ),
        ),
        Panel(
            "Records in flight",
            "Polled and not yet delivered.",
            "short",
            (("{{instance}}", f"qa_in_flight_records{{{OF}}}"),),
        ),
        Panel(
            "Bytes in flight",
            "Keys, values, headers; above QA_MAX_IN_FLIGHT_BYTES a worker polls no more records.",
            "bytes",
            (("{{instance}}", f"qa_in_flight_bytes{{{OF}}}"),),
        ),
        Panel(
            "Records consumed",
            "From the questions topic, by partition. An uneven load comes from frequent keys.",
            "cps",
            (
                (
                    "{{topic}} {{partition}}",
                    f"sum by (topic, partition) ({rate('qa_consumed_records_total', HERE)})",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Schema registry",
            "Schemas asked of the registry per second, by outcome. While one is unavailable, the "
            "partitions of the records that need it wait.",
            "cps",
            (
                (
                    "{{outcome}}",
                    f"sum by (outcome) ({rate('qa_schema_registry_requests_total')})",
                ),
                ("unavailable: 1", f"max(qa_schema_registry_unavailable{{{OF}}})"),
            ),
        ),
        Panel(
            "Records that wait for their schema",
            "Their partitions add few others meanwhile; /healthz names these partitions.",
            "short",
            (("records", f"sum(qa_schema_waiting_records{{{OF}}}) or vector(0)"),),
        ),
        Panel(
            "Replies",
            "Questions that name a reply topic. not_allowed: by QA_REPLY_TOPICS; unknown: no "
            "such topic or partition, or no right to write there.",
            "cps",
            (("{{outcome}}", f"sum by (outcome) ({rate('qa_replies_total')}) > 0"),),
            stacked=True,
        ),
    ),
)

PROCESS = Row(
    "Why? The process",
    (
        Panel(
            "Memory",
            "Resident memory. It grows to the size that the largest batch needs and stays there.",
            "bytes",
            (("{{instance}}", f"process_resident_memory_bytes{{{OF}}}"),),
        ),
        Panel(
            "CPU",
            "CPU cores in use.",
            "short",
            (("{{instance}}", rate("process_cpu_seconds_total")),),
        ),
        Panel(
            "Dead-letter limit",
            "Share of rejections among the last QA_DEAD_LETTER_LIMIT_RECORDS outcomes of a worker; "
            "above QA_DEAD_LETTER_LIMIT_RATIO it stops.",
            "percentunit",
            (("{{instance}}", f"qa_rejection_ratio{{{OF}}}"),),
            thresholds=((0.9, "red"),),
            most=1,
        ),
        Panel(
            "Uptime",
            "Time since the process started. A sawtooth shows restarts; the last line of the log "
            "names the reason.",
            "s",
            (("{{instance}}", f"time() - process_start_time_seconds{{{OF}}}"),),
        ),
        Panel(
            "Versions and models",
            "What each worker runs. Different sha256 values that persist: an incomplete rollout.",
            "none",
            (("", f"qa_worker_info{{{OF}}}"),),
            kind="table",
            width=16,
        ),
    ),
)

CAUSES = (MODEL, KAFKA, PROCESS)
