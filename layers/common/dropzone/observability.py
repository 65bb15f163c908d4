"""Structured logs and metrics. Payloads, keys and secrets never reach either; identifiers are never a dimension."""

import os
import traceback
from collections import Counter
from collections.abc import Iterable

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from dropzone.use_cases.result import ObjectError, ProcessingResult, Settled

NAMESPACE = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "Dropzone")
"""The stack's name, so that two stacks of one account don't count for each other; Powertools' own variable."""

LISTED = 1_000
"""The most objects that one log line names."""


def count_refused(service: str, reason: str) -> None:
    """Count a request that was refused."""
    _count_by(service, "Refused", "reason", Counter([reason]))


def _count_by(service: str, name: str, dimension: str, counts: Counter[str]) -> None:
    """Emit a count for each value of a dimension (of few values: a rule, a reason)."""
    for value, count in counts.items():
        with single_metric(
            name=name,
            unit=MetricUnit.Count,
            value=count,
            namespace=NAMESPACE,
            default_dimensions={"service": service, dimension: value},
        ):
            pass


def log_unexpected(logger: Logger, error: Exception) -> None:
    """Log an error that nobody foresaw: its kind and where it happened, not its message, which may quote a payload."""
    frames = traceback.extract_tb(error.__traceback__)
    logger.error(
        "unexpected error",
        error=type(error).__name__,
        frames=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    )


def report_result(result: ProcessingResult, logger: Logger, metrics: Metrics) -> None:
    """Log and count what a call did to objects: a line for what it settled, and one for what it could not."""
    # First: at a hundred values Powertools writes what there is, and warns of a call that then has nothing left.
    for entry in result.settled:
        metrics.add_metric(
            name="ArrivalToSilver", unit=MetricUnit.Milliseconds, value=max(entry.latency.total_seconds() * 1000, 0.0)
        )
    for name, value in (
        ("Checked", result.checked),
        ("Processed", result.processed),
        ("Failed", result.rejected),
        ("Duplicates", result.duplicates),
        ("Unsettled", len(result.errors)),
        ("Events", sum(entry.events for entry in result.settled)),
        ("EventsRejected", sum(entry.rejected for entry in result.settled)),
    ):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    by_rule: Counter[str] = Counter()
    for entry in result.settled:
        by_rule.update(entry.codes)
    _count_by(metrics.service, "FailedByRule", "rule", by_rule)
    for batch in _slices(result.settled):
        logger.info("processed", objects=[_settled(entry) for entry in batch])
    if terminal := [failure for failure in result.errors if failure.terminal]:
        logger.error("objects can't be processed", objects=[_failure(failure) for failure in terminal[:LISTED]])
    if transient := [failure for failure in result.errors if not failure.terminal]:
        logger.warning("objects will be retried", objects=[_failure(failure) for failure in transient[:LISTED]])


def _slices(settled: list[Settled]) -> Iterable[list[Settled]]:
    return (settled[start : start + LISTED] for start in range(0, len(settled), LISTED))


def _settled(entry: Settled) -> dict[str, object]:
    return {
        "raw_id": str(entry.raw_id),
        "correlation_id": entry.correlation_id,
        "outcome": "rejected" if entry.rejected == entry.events else "processed",
        **({"codes": list(entry.codes)} if entry.codes else {}),
        **({"events": entry.events, "rejected": entry.rejected} if entry.events > 1 else {}),
    }


def _failure(failure: ObjectError) -> dict[str, object]:
    return {"raw_id": str(failure.raw_id), "reason": failure.reason}
