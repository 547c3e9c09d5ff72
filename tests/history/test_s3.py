"""A history in a bucket of S3, which a server on this machine keeps."""

from collections.abc import Iterator

import pytest

from perfgate.history.store import Store
from perfgate.shared.errors import UserError
from tests.history.test_store import MACHINE, keep, values

moto = pytest.importorskip("moto.server")
boto3 = pytest.importorskip("boto3")
s3fs = pytest.importorskip("s3fs")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # the servers of other tests
    boto3.client("s3").create_bucket(Bucket="perf")
    yield "s3://perf/history"
    server.stop()


def test_what_was_kept_in_a_bucket_is_read_before_and_after_a_merge(bucket: str) -> None:
    assert all(keep(bucket, number) for number in (2, 0, 1))
    expected = {"operator_calls": [100, 101, 102], "step_time_s": [10, 11, 12]}
    assert values(bucket) == expected
    assert Store(bucket).compact(MACHINE) == 3
    assert values(bucket) == expected
    assert not keep(bucket, 1)


def test_a_bucket_that_is_not_there_is_refused_and_never_made(bucket: str) -> None:
    with pytest.raises(UserError, match=r"^s3://prf/history: cannot be written: .*bucket.*; make the bucket first"):
        keep("s3://prf/history", 1)
    assert [one["Name"] for one in boto3.client("s3").list_buckets()["Buckets"]] == ["perf"]


def test_a_store_that_does_not_answer_or_lets_nobody_in_is_told_in_one_sentence(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"^s3://other/history: Could not connect to the endpoint URL"):
        Store("s3://other/history").machines()
