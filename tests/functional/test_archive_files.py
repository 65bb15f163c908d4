"""The archive's files in S3, and that what is compared with the table is what S3 has."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from dropzone.ports import ArchivePart, BronzeUnavailableError, FileDiffersError
from dropzone.settings import BronzeSettings
from dropzone_archive import parquet
from dropzone_archive.files import S3ArchiveFiles
from functional.conftest import REGION, MakeBucket
from functional.scripted_s3 import Answer, ScriptedS3, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

PART = ArchivePart("measurements", datetime(2019, 5, 2, tzinfo=UTC), datetime(2019, 5, 3, tzinfo=UTC))
KEY = "silver/measurements/month=2019-05/2019-05-02.parquet"
ROWS = [
    {
        "measured_at": "2019-05-02T00:00:00.000001Z",
        "source": source,
        "mean": mean,
        "std_dev": 1e-308,
        "sample_count": 1,
        "min": -1e308,
        "max": 1e308,
        "unit": "°C",
        "tags": '{"k": "v"}',
        "flags": flags,
        "raw_id": "019aa0c0-0000-7000-8000-000000000000",
        "item": 2**31 - 1,
        "updated_at": "2026-05-02T00:00:00.000001Z",
    }
    for source, mean, flags in (("a", 0.1, ["value.above_maximum"]), ("", -0.0, []), ("ü\x1f\n", 3.0, ["a", "b"]))
]
LINES = [json.dumps(row) for row in ROWS]


def of(endpoint: str, bucket: str = "bucket") -> S3ArchiveFiles:
    return S3ArchiveFiles.of(
        BronzeSettings.of({"bronze_bucket": bucket, "aws_region": REGION, "bronze_endpoint_url": endpoint})
    )


def test_a_part_is_an_object_of_which_all_is_known(
    moto_endpoint: str, make_bucket: MakeBucket, s3_client: "Callable[[str], S3Client]", tmp_path: Path
) -> None:
    bucket, s3 = make_bucket(moto_endpoint), s3_client(moto_endpoint)
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"of an earlier try")

    written = of(moto_endpoint, bucket).write(PART, iter([LINES[0], "\n".join(LINES[1:])]))

    stored = s3.get_object(Bucket=bucket, Key=KEY)
    (tmp_path / "day.parquet").write_bytes(stored["Body"].read())
    assert stored["ContentType"] == "application/vnd.apache.parquet"
    content = (tmp_path / "day.parquet").read_bytes()
    assert written == (KEY, len(content), stored["ETag"], hashlib.sha256(content).hexdigest())
    found = duckdb.execute(f"SELECT source, mean, flags, std_dev FROM '{tmp_path}/day.parquet'").fetchall()  # noqa: S608 - our own words
    assert found == [(row["source"], row["mean"], row["flags"], row["std_dev"]) for row in ROWS]
    [rows] = of(moto_endpoint, bucket).read(PART, written.sha256)
    assert [{**row, "measured_at": ROWS[0]["measured_at"]} for row in json.loads(rows)] == ROWS


@pytest.mark.parametrize("after", range(4))
def test_reading_goes_on_after_so_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    monkeypatch.setattr(parquet, "_BATCH_ROWS", 2)
    parquet.write(tmp_path / "part.parquet", "measurements", LINES)

    batches = [json.loads(rows) for rows in parquet.read(tmp_path / "part.parquet", after)]

    assert [row["source"] for rows in batches for row in rows] == [row["source"] for row in ROWS[after:]]
    assert all(batches)


def test_other_rows_than_were_written_are_not_read(scripted_s3: ScriptedS3, tmp_path: Path) -> None:
    # GIVEN a bucket that has a sound file of as many rows
    parquet.write(tmp_path / "other.parquet", "measurements", [LINES[0], LINES[2], LINES[2]])
    scripted_s3.script = [Answer(), Answer(body=(tmp_path / "other.parquet").read_bytes())]
    files = of(scripted_s3.endpoint)

    written = files.write(PART, iter(LINES))

    with pytest.raises(FileDiffersError, match=rf"^{KEY} has other contents than were written$"):
        next(files.read(PART, written.sha256))
    assert [asked.method for asked in scripted_s3.asked] == ["PUT", "GET"]


def test_a_file_that_can_t_be_written_or_read_says_why(scripted_s3: ScriptedS3) -> None:
    scripted_s3.script = [refusal(403, "AccessDenied"), refusal(403, "AccessDenied")]
    files = of(scripted_s3.endpoint)

    with pytest.raises(BronzeUnavailableError, match=r"^S3 answered 403 AccessDenied$"):
        files.write(PART, iter(LINES))
    with pytest.raises(BronzeUnavailableError, match=r"^S3 answered 403 AccessDenied$"):
        next(files.read(PART, "0" * 64))


def test_a_damaged_file_is_named(scripted_s3: ScriptedS3) -> None:
    # GIVEN an empty file, at which the library panics
    scripted_s3.script = [Answer(body=b"")]

    with pytest.raises(FileDiffersError, match=rf"^{KEY} is damaged$"):
        next(of(scripted_s3.endpoint).read(PART, hashlib.sha256(b"").hexdigest()))


def test_a_damaged_page_is_found(scripted_s3: ScriptedS3, tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    parquet.write(path, "measurements", LINES)
    content = bytearray(path.read_bytes())
    content[4:8] = b"\xff" * 4
    scripted_s3.script = [Answer(body=bytes(content))]

    with pytest.raises(FileDiffersError, match=rf"^{KEY} is damaged$"):
        list(of(scripted_s3.endpoint).read(PART, hashlib.sha256(content).hexdigest()))
