"""The dashboard's lower rows: causes (the model, Kafka, the process)."""

from deploy.grafana.generate.panels import HERE, MINUTE, OF, Panel, Row, mean, quantiles, rate

_PADDED = f"sum({rate('qa_tokens_padded_total')})"
_RUN_TOKENS = f"sum({rate('qa_tokens_run_total')})"

MODEL = Row(
    "Why? The model",
    (
        Panel(
            "Wait for the model",
            "How long the oldest window of a batch waited for a thread.",
            "s",
            quantiles("qa_queue_wait_seconds"),
        ),
        Panel(
            "Batches",
            "Windows in a batch, and how often one was halved because the model raised on it.",
            "short",
            (
                ("windows, mean", mean("qa_batch_windows")),
                ("halved a second", f"sum({rate('qa_batch_splits_total')})"),
            ),
        ),
        Panel(
            "Tokens in a batch",
            "Padded tokens, mean. The bound is QA_MAX_BATCH_TOKENS.",
            "short",
            (("tokens", mean("qa_batch_tokens")),),
        ),
        Panel(
            "Padding",
            "Share of the tokens run that were padding. The bound for a batch is QA_MAX_PADDING.",
            "percentunit",
            (
                (
                    "padding",
                    f"{_PADDED} / ({_PADDED} + {_RUN_TOKENS})",
                ),
            ),
        ),
        Panel(
            "Windows and tokens",
            "What the model gets done, padding not counted.",
            "cps",
            (
                ("windows", f"sum({rate('qa_windows_total')})"),
                ("tokens", _RUN_TOKENS),
            ),
        ),
        Panel(
            "Tokens that wait",
            "Tokens that wait for the model or are in it; above QA_MAX_IN_FLIGHT_TOKENS a worker "
            "takes no more records.",
            "short",
            (("{{instance}}", f"qa_pending_tokens{{{OF}}}"),),
        ),
    ),
)

KAFKA = Row(
    "Why? Kafka",
    (
        Panel(
            "Silence of the brokers",
            "Time since they last answered. A few seconds is normal; after QA_OUTAGE_SECONDS the "
            "worker ends.",
            "s",
            (("{{instance}}", f"qa_last_broker_contact_timestamp_seconds{{{OF}}}"),),
            thresholds=((MINUTE, "red"),),
        ),
        Panel(
            "Commits",
            "Commits of offsets, or of transactions, by their outcome.",
            "cps",
            (("{{outcome}}", f"sum by (outcome) ({rate('qa_commits_total')})"),),
        ),
        Panel(
            "Rebalances and sessions",
            "In each interval. Every worker that joins or leaves causes a rebalance; a session "
            "that breaks is opened anew; a partition is rebuilt where its transaction failed.",
            "short",
            (
                (
                    "rebalances",
                    f'max(increase(qa_rebalances_total{{{OF}, event="assigned"}}'
                    "[$__rate_interval]))",
                ),
                (
                    "sessions {{outcome}}",
                    f"sum by (outcome) (increase(qa_sessions_total{{{OF}}}[$__rate_interval]))",
                ),
                (
                    "partitions rebuilt",
                    f"sum(increase(qa_partition_restarts_total{{{OF}}}[$__rate_interval]))",
                ),
                (
                    "records dropped, to be read again",
                    f"sum(increase(qa_discarded_records_total{{{OF}}}[$__rate_interval]))",
                ),
            ),
        ),
        Panel(
            "Records in flight",
            "Taken and not yet delivered.",
            "short",
            (("{{instance}}", f"qa_in_flight_records{{{OF}}}"),),
        ),
        Panel(
            "Bytes in flight",
            "Of keys and values; above QA_MAX_IN_FLIGHT_BYTES a worker takes no more records.",
            "bytes",
            (("{{instance}}", f"qa_in_flight_bytes{{{OF}}}"),),
        ),
        Panel(
            "Records taken",
            "From the questions topic, by partition. Uneven: keys that come more often.",
            "cps",
            (
                (
                    "{{topic}} {{partition}}",
                    f"sum by (topic, partition) ({rate('qa_records_total', HERE)})",
                ),
            ),
            stacked=True,
        ),
    ),
)

PROCESS = Row(
    "Why? The process",
    (
        Panel(
            "Memory",
            "Resident. It grows to the largest batch and stays there.",
            "bytes",
            (("{{instance}}", f"process_resident_memory_bytes{{{OF}}}"),),
        ),
        Panel(
            "Processor",
            "Cores in use.",
            "short",
            (("{{instance}}", rate("process_cpu_seconds_total")),),
        ),
        Panel(
            "Circuit breaker",
            "Share of rejections among the last QA_DEAD_LETTER_LIMIT_RECORDS outcomes of a worker; "
            "above QA_DEAD_LETTER_LIMIT_RATIO it stops.",
            "percentunit",
            (("{{instance}}", f"qa_rejection_ratio{{{OF}}}"),),
            thresholds=((0.9, "red"),),
            most=1,
        ),
        Panel(
            "Uptime",
            "Since the process started. A saw: it ends and is started again; its last log line "
            "says why.",
            "s",
            (("{{instance}}", f"time() - process_start_time_seconds{{{OF}}}"),),
        ),
        Panel(
            "Versions and models",
            "What each worker runs. Different sha256 for long: a rollout that stopped half-way.",
            "none",
            (("", f"qa_worker_info{{{OF}}}"),),
            kind="table",
            width=16,
        ),
    ),
)

CAUSES = (MODEL, KAFKA, PROCESS)
