"""From the bytes of a raw object to the outcome of each of its events."""

from dropzone.domain.envelope import ROOT, check_envelope, is_event
from dropzone.domain.json_text import NotJsonError, parse_json
from dropzone.domain.outcomes import MAX_VIOLATIONS, Code, Measurement, Outcome, Rejection, Violation
from dropzone.domain.payloads import VERSION_FIELD, VERSIONS


def judge(body: bytes) -> tuple[Outcome, ...]:
    """Judge an object by the quality rules: an outcome for each of its events, in order. Takes any bytes."""
    try:
        payload = parse_json(body)
    except NotJsonError as error:
        return (Rejection((Violation(Code.NOT_JSON, ROOT, f"is not JSON: {error}"),)),)
    return (_judge_event(payload),)


def _judge_event(payload: object) -> Outcome:
    if not is_event(payload):
        return Rejection(tuple(check_envelope(payload)))
    version = payload.get(VERSION_FIELD, 1)
    reader = VERSIONS.get(version) if type(version) is int else None
    if reader is None:
        known = ", ".join(map(str, VERSIONS))
        message = f"names no version of the payload that is known here ({known})"
        return Rejection((Violation(Code.UNSUPPORTED_VERSION, VERSION_FIELD, message),))
    result = reader(payload)
    return result if isinstance(result, Measurement) else Rejection(tuple(result[:MAX_VIOLATIONS]))
