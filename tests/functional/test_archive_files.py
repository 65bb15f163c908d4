"""The archive's files in S3, and that what is compared with the table is what S3 has."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from dropzone.ports import ArchivedRow, BronzeUnavailableError
from dropzone.settings import BronzeSettings
from dropzone_archive import parquet
from dropzone_archive.files import S3ArchiveFiles
from functional.conftest import REGION, MakeBucket
from functional.scripted_s3 import Answer, ScriptedS3, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

DAY = date(2019, 5, 2)
KEY = "silver/measurements/month=2019-05/2019-05-02.parquet"
ROWS = [
    ArchivedRow(1, "a", 0.1, 0.0, 2, 0.1, 0.1, "°C", '{"k": "v"}', ["value.above_maximum"], "r-1", 0, 5),
    ArchivedRow(2, "a", -0.0, 1e-308, 1, -1e308, 1e308, "", "{}", [], "r-1", 7, 6),
    ArchivedRow(1, "", 3.0, 0.0, 1, 3.0, 3.0, "", "{}", [], "r-2", 2**31 - 1, 2**53),
]


def of(endpoint: str, bucket: str = "bucket") -> S3ArchiveFiles:
    return S3ArchiveFiles(
        BronzeSettings.of({"bronze_bucket": bucket, "aws_region": REGION, "bronze_endpoint_url": endpoint})
    )


def test_a_day_is_an_object_of_which_all_is_known(
    moto_endpoint: str, make_bucket: MakeBucket, s3_client: "Callable[[str], S3Client]", tmp_path: Path
) -> None:
    bucket, s3 = make_bucket(moto_endpoint), s3_client(moto_endpoint)
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"of an earlier try")

    written = of(moto_endpoint, bucket).write(DAY, iter([ROWS[:1], ROWS[1:]]))

    stored = s3.get_object(Bucket=bucket, Key=KEY)
    (tmp_path / "day.parquet").write_bytes(stored["Body"].read())
    assert stored["ContentType"] == "application/vnd.apache.parquet"
    assert (written.key, written.bytes, written.e_tag) == (KEY, stored["ContentLength"], stored["ETag"])
    assert {source: (each.events, each.samples) for source, each in written.sources.items()} == {
        "a": (2, 3),
        "": (1, 1),
    }
    columns = [f"epoch_us({name})" if name in {"measured_at", "updated_at"} else name for name in ArchivedRow._fields]
    found = duckdb.execute(f"SELECT {', '.join(columns)} FROM '{tmp_path}/day.parquet'").fetchall()  # noqa: S608 - our own words
    assert [ArchivedRow(*row) for row in found] == ROWS


def test_what_is_compared_is_what_s3_has(scripted_s3: ScriptedS3, tmp_path: Path) -> None:
    # GIVEN a bucket that keeps other bytes than it was sent
    parquet.write(tmp_path / "other.parquet", [ROWS[2:]])
    other = (tmp_path / "other.parquet").read_bytes()
    scripted_s3.script = [Answer(), Answer(body=other)]

    written = of(scripted_s3.endpoint).write(DAY, iter([ROWS]))

    assert [asked.method for asked in scripted_s3.asked] == ["PUT", "GET"]
    assert (written.bytes, written.sources) == (len(other), parquet.digests(tmp_path / "other.parquet"))
    assert written.sources.keys() == {""}


@pytest.mark.parametrize("script", [[refusal(403, "AccessDenied")], [Answer(), refusal(403, "AccessDenied")]])
def test_a_file_that_can_t_be_written_or_read_back_says_why(scripted_s3: ScriptedS3, script: list[Answer]) -> None:
    scripted_s3.script = script

    with pytest.raises(BronzeUnavailableError, match=r"^S3 answered 403 AccessDenied$"):
        of(scripted_s3.endpoint).write(DAY, iter([ROWS]))
