"""The dashboard's first rows: symptoms, as producers of questions notice them."""

from deploy.grafana.generate.panels import HERE, MINUTE, OF, Panel, Row, quantiles, rate, stat

_TOTAL = f'{OF}, stage="total"'
_STEPS = f'{OF}, stage!="total"'
_RUN = f'{OF}, stage="run"'

_REJECTED = f"sum({rate('qa_rejections_total')})"
_ANSWERED = f"(sum({rate('qa_answers_total', HERE)}) or vector(0))"

WORKING = Row(
    "Is it working?",
    (
        stat(
            "Workers ready",
            "Workers that are in the group and take records. None: nothing is answered.",
            "none",
            f"sum(qa_ready{{{OF}}}) or vector(0)",
            good_from=1,
        ),
        stat(
            "Alerts",
            "Alerts of deploy/prometheus/rules.yml that fire. What to do: deploy/runbook.md.",
            "none",
            'count(ALERTS{alertstate="firing", alertname=~"Qa.+"}) or vector(0)',
            (1, "red"),
        ),
        stat(
            "Answers a second",
            "Answers delivered, over all workers and partitions.",
            "cps",
            _ANSWERED,
        ),
        stat(
            "Rejected",
            "Share of the records that become dead letters. Above QA_DEAD_LETTER_LIMIT_RATIO (90 "
            "%) of the last 100 a worker stops.",
            "percentunit",
            f"{_REJECTED} / ({_REJECTED} + {_ANSWERED}) >= 0",
            (0.05, "orange"),
            (0.5, "red"),
        ),
        stat(
            "Lag",
            "Records that wait or are in flight, in all partitions that a worker has.",
            "short",
            f"sum(max by (topic, partition) (qa_lag_records{{{HERE}}}))",
        ),
        stat(
            "Delay, p95",
            "Of twenty questions one is answered later than this after it was asked.",
            "s",
            f"{quantiles('qa_end_to_end_latency_seconds')[1][1]} >= 0",
            (10, "orange"),
            (MINUTE, "red"),
        ),
        Panel(
            "Answers and rejections",
            "Outcomes of records: answers, and dead letters by their reason.",
            "cps",
            (
                ("answers", f"sum({rate('qa_answers_total', HERE)})"),
                ("{{reason}}", f"sum by (reason) ({rate('qa_rejections_total')}) > 0"),
            ),
            width=12,
            stacked=True,
        ),
        Panel(
            "Workers",
            "Processes that Prometheus finds, those that answer it, those that are in the group.",
            "none",
            (
                ("found", 'count(up{job=~"$job"})'),
                ("answer", 'sum(up{job=~"$job"})'),
                ("ready", f"sum(qa_ready{{{OF}}})"),
            ),
            width=6,
        ),
        Panel(
            "Partitions by worker",
            "Even, give or take one. All at one worker: the others are not in the group.",
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
            "Records between the end of the partition and what is delivered. One that grows alone: "
            "a hot key, or a record that does not finish. Holes: a rebalance.",
            "short",
            (
                (
                    "{{topic}} {{partition}}",
                    f"max by (topic, partition) (qa_lag_records{{{HERE}}})",
                ),
            ),
        ),
        Panel(
            "Progress by partition",
            "Offsets a second that are done. Zero with lag above zero: the partition stands still.",
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
            "Delay",
            "From the timestamp of a question's record to the delivery of its answer.",
            "s",
            quantiles("qa_end_to_end_latency_seconds"),
            thresholds=((MINUTE, "red"),),
        ),
    ),
)

FAST = Row(
    "How fast is it?",
    (
        Panel(
            "Time in the worker",
            "From the poll that brought a record to its delivery.",
            "s",
            quantiles("qa_stage_seconds", _TOTAL),
        ),
        Panel(
            "Time by step, p95",
            "decode, encode and spans of an event, run of a batch, publish of what is delivered "
            "together.",
            "s",
            (
                (
                    "{{stage}}",
                    "histogram_quantile(0.95, sum by (stage, le) "
                    f"({rate('qa_stage_seconds_bucket', _STEPS)}))",
                ),
            ),
        ),
        Panel(
            "Model threads busy",
            "Share of the threads' time that the model runs. Near 100 %: more workers or cores are "
            "the way to more answers.",
            "percentunit",
            (
                (
                    "{{instance}}",
                    f"sum by (instance) ({rate('qa_stage_seconds_sum', _RUN)}) "
                    f"/ sum by (instance) (qa_inference_threads{{{OF}}})",
                ),
            ),
            most=1,
        ),
    ),
)

SYMPTOMS = (WORKING, BEHIND, FAST)
