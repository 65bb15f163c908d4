"""What the document says of gold, of the measurements that stand, and of objects as they were received."""

from typing import Any

from dropzone.api import problems
from dropzone.api.formats import Format
from dropzone.api.pages import Listing, page
from dropzone.api.parameters import Request
from dropzone.queries import kpis, measurements, quality, sources
from dropzone.queries.buckets import Granularity
from dropzone.queries.kpis import Kpis, KpisRequest
from dropzone.queries.measurements import Measurements, MeasurementsOfInstantRequest, MeasurementsRequest
from dropzone.queries.quality import Quality, QualityRequest
from dropzone.queries.sources import Sources, SourcesRequest
from dropzone_openapi.operations import API_KEY, Operation, _gateway, _problems, _query
from dropzone_openapi.schemas import RAW_ID, RECEIVED_AT, Schema, answer_components, request_schema

_INSTANT: Schema = {"type": "string", "format": "date-time"}

EXAMPLE_MEASUREMENTS: Schema = {
    "measurements": [
        {
            "measured_at": "2019-05-01T10:00:00Z",
            "source": "boiler-7",
            "mean": 1.0,
            "std_dev": 1.0,
            "sample_count": 2,
            "min": 0.0,
            "max": 2.0,
            "unit": "°C",
            "tags": {"site": "north"},
            "raw_id": RAW_ID,
            "item": 0,
            "received_at": RECEIVED_AT,
            "updated_at": "2026-11-24T16:44:36.201544Z",
        }
    ],
    "cursor": "1556704800000000.boiler-7",
}

_EXAMPLE_ARRIVALS: Schema = {
    "received": 61,
    "processed": 60,
    "rejected": 1,
    "rejected_share": 0.01639344262295082,
    "rejected_by_rule": {"data.empty": 1},
}
_EXAMPLE_BUCKET: Schema = {"start": "2019-05-01T10:00:00Z", "end": "2019-05-01T11:00:00Z", "source": "boiler-7"}

EXAMPLE_KPIS: Schema = {
    "kpis": [
        {
            **_EXAMPLE_BUCKET,
            "events": 60,
            "samples": 120,
            "mean": 1.25,
            "std_dev": 0.75,
            "min": 0.0,
            "max": 2.5,
            "first": "2019-05-01T10:00:00Z",
            "last": "2019-05-01T10:59:00Z",
            "gaps": {
                "count": 0,
                "longest_seconds": 60.0,
                "expected_seconds": 60.0,
                "longer_than_seconds": 90.50966799187808,
            },
            **_EXAMPLE_ARRIVALS,
            "latency_ms": {"mean": 812.4, "max": 1493.0},
        }
    ],
    "granularity": "hour",
    "tz": "UTC",
}

EXAMPLE_QUALITY: Schema = {
    "quality": [
        {
            **_EXAMPLE_BUCKET,
            **_EXAMPLE_ARRIVALS,
            "latency_ms": {"mean": 812.4, "p50": 938.7, "p95": 1327.6, "max": 1493.0},
        }
    ],
    "granularity": "hour",
    "tz": "UTC",
}

EXAMPLE_SOURCES: Schema = {
    "sources": [
        {
            "source": "boiler-7",
            "state": "ok",
            "first_measured_at": "2019-05-01T10:00:00Z",
            "last_measured_at": "2026-11-24T16:44:00Z",
            "last_received_at": RECEIVED_AT,
            "usual_interval_seconds": 60.0,
            "last_day": {"received": 1440, "rejected": 36, "rejected_share": 0.025},
        }
    ],
    "cursor": ".boiler-7",
}

_KEPT: Operation = {
    "ETag": {"description": "Of this content, compressed or not; for If-None-Match.", "schema": {"type": "string"}},
    "Cache-Control": {"schema": {"type": "string"}},
}
_LINK: Operation = {
    "Link": {
        "description": 'Where there is more: `<?…>; rel="next"`, a relative reference with the cursor.',
        "schema": {"type": "string"},
    }
}
_NOT_MODIFIED: Operation = {"304": {"description": "The client has it already, by its If-None-Match."}}
_IF_NONE_MATCH: Operation = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of an earlier answer: 304 where it still stands.",
    "schema": {"type": "string"},
}


def gold_operations() -> dict[tuple[str, str], Operation]:
    """Each operation by its method and path."""
    return {
        ("get", "/ingest/{raw_id}/raw"): _operation(
            "original",
            "Get an event as it was received",
            "The bytes, with the `Content-Type` and `Content-Encoding` that they came with. They never change.",
            [_path("raw_id", "As POST /ingest answered it.", {"type": "string", "format": "uuid"})],
            {
                "description": "The bytes; to be saved, never to be shown as a page.",
                "headers": {
                    **_KEPT,
                    "Content-Disposition": {"schema": {"type": "string"}},
                    "Content-Encoding": {"description": "Where they are packed.", "schema": {"type": "string"}},
                },
                "content": {"*/*": {"schema": {}}},
            },
            problems.NO_RAW_OBJECT,
            tag="Events",
        ),
        ("get", "/measurements"): _operation(
            "measurements",
            "List measurements",
            (
                "What stands in silver: of each instant and source, the event that arrived last. Pages are by the last "
                "entry, so that none is skipped or seen twice while rows arrive. A page may hold fewer than `limit`."
            ),
            _query(_schema(MeasurementsRequest)),
            _listed(measurements.LISTING, EXAMPLE_MEASUREMENTS),
            problems.NOT_ACCEPTABLE,
        ),
        ("get", "/measurements/{measured_at}"): _operation(
            "measurementsOfInstant",
            "Get the measurements of an instant",
            "Of all sources, by their name, or of one.",
            [
                _path("measured_at", "The instant, as ingest takes it; escape a `+` as `%2B`.", _INSTANT),
                *_query(_schema(MeasurementsOfInstantRequest)),
            ],
            _listed(measurements.LISTING, EXAMPLE_MEASUREMENTS),
            problems.NO_MEASUREMENT,
            problems.NOT_ACCEPTABLE,
        ),
        ("get", "/sources"): _operation(
            "sources",
            "List sources",
            (
                "Who measures, by name: since when, until when, how often, and whether it is `late` (one event is "
                "missing: quiet for one and a half times its usual interval) or `silent` (two are: two and a half "
                "times; or nothing was measured up to now). The usual interval is the median of its last twenty "
                "pauses; less than a minute counts as one, and a source that measured once is expected daily. All of "
                "it is as of now: what a clock that is ahead says of the future doesn't count until then."
            ),
            _query(_schema(SourcesRequest)),
            _listed(sources.LISTING, EXAMPLE_SOURCES),
            problems.NOT_ACCEPTABLE,
        ),
        ("get", "/kpis"): _operation(
            "kpis",
            "Get figures by minute, quarter of an hour, hour, day, week or month",
            (
                "By source, of whole buckets: measurements by their own instant; what was received, rejected, and how "
                "long it took to silver by the time of arrival, since a rejected event has no instant to go by. Right "
                "for silver as it stands. Buckets in which nothing was measured and nothing arrived are left out. At "
                f"most {_limits()}."
            ),
            _query(_schema(KpisRequest)),
            _listed(kpis.LISTING, EXAMPLE_KPIS),
            problems.NOT_ACCEPTABLE,
        ),
        ("get", "/quality"): _operation(
            "quality",
            "Get outcomes by rule over time",
            f"By time of arrival and source, of whole buckets; at most {_limits()}.",
            _query(_schema(QualityRequest)),
            _listed(quality.LISTING, EXAMPLE_QUALITY),
            problems.NOT_ACCEPTABLE,
        ),
    }


def gold_components() -> Schema:
    """The schemas, by name."""
    return answer_components(
        {
            Measurements: [EXAMPLE_MEASUREMENTS],
            Kpis: [EXAMPLE_KPIS],
            Quality: [EXAMPLE_QUALITY],
            Sources: [EXAMPLE_SOURCES],
        }
    )


def _limits() -> str:
    *first, last = (f"{kind.most_buckets:,} by the {kind.replace('_', ' of an ')}" for kind in Granularity)
    return f"{', '.join(first)} or {last}"


def _operation(
    name: str,
    summary: str,
    description: str,
    parameters: list[Operation],
    answer: Operation,
    *kinds: problems.ProblemType,
    tag: str = "Data",
) -> Operation:
    refusals = _problems(*kinds, problems.INVALID_REQUEST, problems.INTERNAL_ERROR, problems.UNAVAILABLE)
    return {
        "operationId": name,
        "summary": summary,
        "description": description,
        "tags": [tag],
        "security": [{API_KEY: []}],
        "parameters": [*parameters, _IF_NONE_MATCH],
        "responses": {"200": answer, **_NOT_MODIFIED, **refusals, **_gateway("403", "429", "504")},
    }


def _path(name: str, description: str, schema: Schema) -> Operation:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _listed(listing: Listing[Any], example: Schema) -> Operation:
    """A list, in each format."""
    name = listing.name
    json_example = {
        "schema": {"$ref": f"#/components/schemas/{name.capitalize()}"},
        "examples": {"example": {"value": example}},
    }
    lines = {"schema": {"type": "string", "description": f"An object of `{name}` a line."}}
    return {
        "description": f"The {name}, in the format that `Accept` asks for.",
        "headers": {
            **_KEPT,
            **_LINK,
            "Content-Disposition": {
                "description": "Of CSV for spreadsheets, with a name for the file.",
                "schema": {"type": "string"},
            },
        },
        "content": {
            Format.JSON.value: json_example,
            Format.NDJSON.value: lines,
            Format.CSV.value: _csv(listing, example, Format.CSV, "As RFC 4180 has it."),
            Format.SPREADSHEET.value: _csv(
                listing,
                example,
                Format.SPREADSHEET,
                "With a byte order mark, and an apostrophe before texts that a spreadsheet would take for formulas.",
            ),
        },
    }


def _csv(listing: Listing[Any], example: Schema, form: Format, description: str) -> Operation:
    rows = example[listing.name]
    text, _ = page(listing, rows, len(rows), query={}, form=form)
    return {
        "schema": {"type": "string", "description": description},
        "examples": {"example": {"value": text}},
    }


def _schema(request: type[Request]) -> Schema:
    """A request's own, with what it refers to in its place."""
    schema = request_schema(request)
    named = schema.pop("$defs", {})
    for field in schema["properties"].values():
        for kind in (field, *field.get("anyOf", [])):
            if reference := kind.pop("$ref", None):
                kind |= {key: value for key, value in named[reference.rpartition("/")[2]].items() if key == "enum"}
    return schema
