"""All metrics of the kit, each with its meaning; nowhere else is one named."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

INPUTS = Counter("kouan_inputs_total", "Inputs by what became of them", ["service", "outcome"])
OUTPUTS = Counter("kouan_outputs_total", "Messages committed to the outbox", ["service", "topic"])
BATCH_SECONDS = Histogram(
    "kouan_batch_seconds", "Time from a batch's decision to its commit, in seconds", ["service"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)  # fmt: skip
BATCH_INPUTS = Histogram(
    "kouan_batch_inputs", "Inputs in one transaction", ["service"], buckets=(1, 3, 10, 30, 100, 300, 1000, 3000)
)
UNSENT = Gauge("kouan_outbox_unsent", "Messages committed and not yet confirmed by the broker", ["service"])
PARKED = Gauge("kouan_parked_keys", "Keys that have early inputs waiting", ["service"])
TASKS = Gauge("kouan_tasks_owned", "Tasks that this worker owns", ["service"])
POSITION = Gauge("kouan_position", "Next offset to be applied", ["service", "topic", "partition"])
LAG = Gauge("kouan_lag_events", "Records on the topic that are not applied yet", ["service", "topic", "partition"])
TRANSIENT = Counter("kouan_transient_failures_total", "Failures that were waited out", ["service"])
FENCED = Counter("kouan_fenced_total", "Times that another worker had taken a task over", ["service"])
EFFECTS = Counter(
    "kouan_effect_attempts_total", "Attempts of effects by what came of them", ["service", "effect", "outcome"]
)
PAUSED = Gauge("kouan_paused", "1 while the service is paused after too many unexpected failures", ["service"])
REFERENCE_INVALID = Counter("kouan_reference_invalid_total", "Reference records that could not be used", ["topic"])
