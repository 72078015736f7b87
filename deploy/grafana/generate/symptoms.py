"""The dashboard's first rows: symptoms, as producers of questions notice them."""

from deploy.grafana.generate.panels import HERE, MINUTE, OF, Panel, Row, quantiles, rate, stat

_INFERENCE = f'{OF}, stage="inference"'

_NOT_EXPIRED = f'{OF}, reason!="expired"'
_REJECTED = f"sum({rate('qa_rejections_total', _NOT_EXPIRED)})"
_ANSWERED = f"(sum({rate('qa_answers_total', HERE)}) or vector(0))"

WORKING = Row(
    "Is it working?",
    (
        stat(
            "Workers ready",
            "Workers in the consumer group. With 0, no question is answered.",
            "none",
            f"sum(qa_ready{{{OF}}}) or vector(0)",
            good_from=1,
        ),
        stat(
            "Alerts",
            "Firing alerts of deploy/prometheus/rules.yml. The runbook is deploy/runbook.md.",
            "none",
            'count(ALERTS{alertstate="firing", alertname=~"Qa.+"}) or vector(0)',
            (1, "red"),
        ),
        stat(
            "Answers per second",
            "Answers delivered, all workers and partitions.",
            "cps",
            _ANSWERED,
        ),
        stat(
            "Rejected",
            "Share of the records that become dead letters, without expired ones. A worker stops "
            "above QA_DEAD_LETTER_LIMIT_RATIO (90 %) of its last 100 records.",
            "percentunit",
            f"{_REJECTED} / ({_REJECTED} + {_ANSWERED}) >= 0",
            (0.05, "orange"),
            (0.5, "red"),
        ),
        stat(
            "Lag",
            "Records that wait or are in flight, in all assigned partitions.",
            "short",
            f"sum(max by (topic, partition) (qa_lag_records{{{HERE}}}))",
        ),
        stat(
            "Latency, p95",
            "95 % of the questions are answered within this time, waiting in the topic included.",
            "s",
            f"{quantiles('qa_end_to_end_latency_seconds', HERE)[1][1]} >= 0",
            (10, "orange"),
            (MINUTE, "red"),
        ),
        Panel(
            "Answers and rejections",
            "Records per second: answers, dead letters by reason, and what QA_SAMPLE leaves out.",
            "cps",
            (
                ("answers", f"sum({rate('qa_answers_total', HERE)})"),
                ("{{reason}}", f"sum by (reason) ({rate('qa_rejections_total')}) > 0"),
                ("out of sample", f"sum({rate('qa_out_of_sample_records_total')})"),
            ),
            width=12,
            stacked=True,
        ),
        Panel(
            "Workers",
            "Workers that Prometheus discovers, that answer scrapes, and that are in the group.",
            "none",
            (
                ("discovered", 'count(up{job=~"$job"})'),
                ("answering", 'sum(up{job=~"$job"})'),
                ("ready", f"sum(qa_ready{{{OF}}})"),
            ),
            width=6,
        ),
        Panel(
            "Partitions by worker",
            "Workers differ by one at most. All on one worker: the others are not in the group.",
            "none",
            (("{{instance}}", f"qa_assigned_partitions{{{OF}}}"),),
            width=6,
            stacked=True,
        ),
    ),
)

BEHIND = Row(
    "How far behind is it?",
    (
        Panel(
            "Lag by partition",
            "Records from the position to the end of the partition. One that grows alone: a hot "
            "key, a record that does not complete, or another producer's open transaction, behind "
            "which the records are held up. A gap in the line: a rebalance.",
            "short",
            (
                (
                    "{{topic}} {{partition}}",
                    f"max by (topic, partition) (qa_lag_records{{{HERE}}})",
                ),
                (
                    "held up by open transactions",
                    f"sum(max by (topic, partition) (qa_held_up_records{{{HERE}}}))",
                ),
            ),
        ),
        Panel(
            "Progress by partition",
            "Offsets delivered per second. 0 with lag above 0: the partition is stalled.",
            "cps",
            (
                (
                    "{{topic}} {{partition}}",
                    "max by (topic, partition) "
                    f"(deriv(qa_position_offset{{{HERE}}}[$__rate_interval]))",
                ),
            ),
        ),
        Panel(
            "End-to-end latency",
            "From a question's record timestamp to the acknowledgement of its answer.",
            "s",
            quantiles("qa_end_to_end_latency_seconds", HERE),
            thresholds=((MINUTE, "red"),),
        ),
        Panel(
            "Past their deadline",
            "Records per second that expired before the model read them, by what QA_EXPIRED did "
            "with them. After an outage: normal, for minutes. All the time: too few workers for "
            "these deadlines.",
            "cps",
            (("{{mode}}", f"sum by (mode) ({rate('qa_past_deadline_records_total')})"),),
            stacked=True,
        ),
    ),
)

FAST = Row(
    "How fast is it?",
    (
        Panel(
            "Record processing time",
            "From a record's poll to the acknowledgement of its answer or dead letter.",
            "s",
            quantiles("qa_record_processing_seconds"),
        ),
        Panel(
            "Time by stage, p95",
            "decode, preprocess and postprocess of a record, inference of a batch, publish of a "
            "record.",
            "s",
            (
                (
                    "{{stage}}",
                    "histogram_quantile(0.95, sum by (stage, le) "
                    f"({rate('qa_stage_seconds_bucket')}))",
                ),
            ),
        ),
        Panel(
            "Inference threads busy",
            "Share of the inference threads' time that the model runs. Near 100 %, only more "
            "workers or cores increase throughput.",
            "percentunit",
            (
                (
                    "{{instance}}",
                    f"sum by (instance) ({rate('qa_stage_seconds_sum', _INFERENCE)}) "
                    f"/ sum by (instance) (qa_inference_threads{{{OF}}})",
                ),
            ),
            most=1,
        ),
    ),
)

SYMPTOMS = (WORKING, BEHIND, FAST)
