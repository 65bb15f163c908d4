"""Structured logs and metrics. Neither ever has payloads, keys or secrets; identifiers are never a dimension."""

import os
import traceback
from collections import Counter
from collections.abc import Sequence
from itertools import batched
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from dropzone.use_cases.objects import ObjectError, ProcessedObject, ProcessingResult

NAMESPACE = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "Dropzone")
"""The stack's name, so that two stacks in an account have separate metrics. The variable is Powertools' own."""

LISTED = 1_000
"""The maximum number of objects named in one log line."""


def count(name: str, number: int = 1, **dimensions: str) -> None:
    """Emit a count with its own dimensions, each of which must have few values: a service, a rule, a reason."""
    with single_metric(
        name=name, unit=MetricUnit.Count, value=number, namespace=NAMESPACE, default_dimensions=dimensions
    ):
        pass


def log_unexpected(logger: Logger, error: Exception) -> None:
    """Log an unexpected error: its type and where it was raised, not its message, which may quote a payload."""
    frames = traceback.extract_tb(error.__traceback__)
    logger.error(
        "unexpected error",
        error=type(error).__name__,
        frames=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    )


def report_result(result: "ProcessingResult", logger: Logger, metrics: Metrics) -> None:
    """Log and count what a call did to objects."""
    # First, since Powertools flushes after a hundred values, and warns if nothing follows.
    for entry in result.objects:
        metrics.add_metric(
            name="ArrivalToSilver", unit=MetricUnit.Milliseconds, value=max(entry.latency.total_seconds() * 1000, 0.0)
        )
    for name, value in (
        ("Checked", result.checked),
        ("Processed", result.processed),
        ("Failed", result.rejected),
        ("Duplicates", result.duplicates),
        ("ObjectErrors", len(result.errors)),
        ("Events", sum(entry.events for entry in result.objects)),
        ("EventsRejected", sum(entry.rejected for entry in result.objects)),
        ("Flagged", sum(entry.flagged for entry in result.objects)),
    ):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    by_rule: Counter[str] = Counter()
    for entry in result.objects:
        by_rule.update(entry.codes)
    for rule, events in by_rule.items():
        count("FailedByRule", events, service=metrics.service, rule=rule)
    for batch in batched(result.objects, LISTED, strict=False):
        logger.info("processed", objects=[_logged(entry) for entry in batch])
    if terminal := [error for error in result.errors if error.terminal]:
        logger.error("objects can't be processed", objects=logged_errors(terminal))
    if transient := [error for error in result.errors if not error.terminal]:
        logger.warning("objects will be retried", objects=logged_errors(transient))


def _logged(entry: "ProcessedObject") -> dict[str, object]:
    return {
        "raw_id": str(entry.raw_id),
        "correlation_id": entry.correlation_id,
        "outcome": "rejected" if entry.rejected == entry.events else "processed",
        **({"codes": list(entry.codes)} if entry.codes else {}),
        **({"events": entry.events, "rejected": entry.rejected} if entry.events > 1 else {}),
    }


def logged_errors(errors: Sequence["ObjectError"]) -> list[dict[str, object]]:
    """The first errors of objects, in the form of a log line."""
    return [{"raw_id": str(error.raw_id), "reason": error.reason} for error in errors[:LISTED]]
