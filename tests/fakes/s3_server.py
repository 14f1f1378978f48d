"""A server of S3 on loopback (moto), in this process, so that a test can also turn its clock back."""

from __future__ import annotations

import datetime
import logging
import secrets
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    """A running server, with one bucket."""

    bucket: str
    env: dict[str, str]  # by which a driver finds it

    @property
    def url(self) -> str:
        """A prefix of its own at each call."""
        return f"s3://{self.bucket}/{secrets.token_hex(8)}"

    def grow_older(self, url: str, seconds: float) -> None:
        """Let an object have been written earlier."""
        from moto.s3.models import s3_backends

        bucket = next(iter(s3_backends.values()))["aws"].buckets[self.bucket]
        key = bucket.keys[url.removeprefix(f"s3://{self.bucket}/")]
        key.last_modified -= datetime.timedelta(seconds=seconds)

    def num_uploads(self) -> int:
        """Uploads that were begun and neither completed nor given up."""
        from moto.s3.models import s3_backends

        return len(next(iter(s3_backends.values()))["aws"].buckets[self.bucket].multiparts)


@contextmanager
def served() -> Iterator[S3]:
    """Serve until the block ends."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        bucket = "sounds"
        request = urllib.request.Request(f"http://{host}:{port}/{bucket}", method="PUT")
        urllib.request.urlopen(request).close()
        env = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        yield S3(bucket=bucket, env=env)
    finally:
        server.stop()
