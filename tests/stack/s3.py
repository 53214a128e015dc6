"""One real S3-protocol server for a test run, on whichever rung of the ladder there is."""

import os
import ssl
import sys
import urllib.error
import urllib.request
import uuid
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # ships no types
from botocore.config import Config  # type: ignore[import-untyped]  # ships no types

from tests.stack.authority import Authority, Identity
from tests.stack.containers import VERSITYGW, VersitygwContainer
from tests.stack.ladder import NoStack, Rung
from tests.stack.servers import ChildServer, ContainerServer, ExternalServer, Server, free_ports, wait_until

ACCESS_KEY, SECRET_KEY, REGION = "test", "testtest", "us-east-1"
START_WITHIN = 60.0  # seconds; under 1 for versitygw, 5 for moto on two quiet cores


class S3:
    """`endpoint` is a URL. A test that kills the server starts it again: others share it.

    `trust`: the authority that vouches for it, where it speaks TLS.
    """

    def __init__(
        self,
        server: Server,
        endpoint: str,
        *,
        access_key: str,
        secret_key: str,
        region: str,
        trust: Path | None = None,
    ) -> None:
        self._server, self.endpoint = server, endpoint
        self.access_key, self.secret_key, self.region = access_key, secret_key, region
        self.trust = trust

    @cached_property
    def client(self) -> Any:
        """A plain boto3 client: the tests' own view of what is stored."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            verify=str(self.trust) if self.trust else None,
            config=Config(s3={"addressing_style": "path"}),
        )

    def bucket(self) -> str:
        """Creates a bucket that nobody else uses, and returns its name."""
        name = f"test-{uuid.uuid4().hex[:16]}"
        self.client.create_bucket(Bucket=name)
        return name

    def versioned_bucket(self) -> str:
        """The same with versioning switched on."""
        name = self.bucket()
        self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def bucket_with_lock(self) -> str:
        """A versioned one in which Object Lock may be put on single versions."""
        name = f"test-{uuid.uuid4().hex[:16]}"
        self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
        return name

    def start(self) -> None:
        """Starts the server (again, on the same port and data; moto forgets) and returns once it answers."""
        self._server.start()
        wait_until(self._answers, self._server, f"S3 at {self.endpoint}", START_WITHIN)

    def stop(self) -> None:
        self._server.stop()

    def kill(self) -> None:
        """SIGKILL; returns once it is dead."""
        self._server.kill()

    def close(self) -> None:
        self._server.close()

    def _answers(self) -> bool:
        trusting = ssl.create_default_context(cafile=str(self.trust)) if self.trust else None
        try:
            with urllib.request.urlopen(self.endpoint, timeout=2, context=trusting):
                return True
        except urllib.error.HTTPError:
            return True  # an anonymous request refused in HTTP is an answer
        except OSError:
            return False


def _native_versitygw(binary: str, port: int, shows: Identity | None, access_log: Path | None) -> ChildServer:
    def make_folders(folder: Path) -> None:
        (folder / "data").mkdir()
        (folder / "versions").mkdir()

    return ChildServer(
        "s3",
        lambda folder: [
            *(binary, "--port", f"127.0.0.1:{port}", *VERSITYGW),
            *(("--access-log", str(access_log)) if access_log else ()),
            *(("--cert", str(shows.cert_file), "--key", str(shows.key_file)) if shows else ()),
            *("posix", "--versioning-dir", f"{folder}/versions", f"{folder}/data"),
        ],
        env={"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY},
        prepare=make_folders,
    )


def _moto(port: int, shows: Identity | None) -> ChildServer:
    # the folder's name rides along unread: down.sh knows our processes by it
    serve = "import sys; from moto.server import main; main(sys.argv[2:])"
    tls = ("-c", str(shows.cert_file), "-k", str(shows.key_file)) if shows else ()
    return ChildServer(
        "s3",
        lambda folder: [
            *(sys.executable, "-c", serve, str(folder), "-H", "127.0.0.1", "-p", str(port), *tls)
        ],
    )


def s3_on(rung: Rung, access_log: Path | None = None) -> S3:
    """The server that stands on this rung, not yet started. The native one can log its requests."""
    if rung.name == "external":
        return S3(
            ExternalServer(),
            rung.what,
            access_key=os.environ["AWS_ACCESS_KEY_ID"],
            secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            region=os.environ.get("AWS_REGION", REGION),
        )
    return _ours(rung, None, None, access_log)


def secured_s3_on(rung: Rung, authority: Authority, access_log: Path | None = None) -> S3:
    """The same, with TLS. It is not yet started either."""
    if rung.name == "external":
        raise NoStack("an external S3 shows no certificate of ours: leave the tests of TLS out by name")
    return _ours(rung, authority.issue("s3"), authority.trust, access_log)


def _ours(rung: Rung, shows: Identity | None, trust: Path | None, access_log: Path | None) -> S3:
    [port] = free_ports(1)
    server: Server
    if rung.name == "container":
        server = ContainerServer(VersitygwContainer(rung.what, port, ACCESS_KEY, SECRET_KEY, shows))
    elif rung.name == "native":
        server = _native_versitygw(rung.what, port, shows, access_log)
    else:
        server = _moto(port, shows)
    endpoint = f"{'https' if shows else 'http'}://127.0.0.1:{port}"
    return S3(server, endpoint, access_key=ACCESS_KEY, secret_key=SECRET_KEY, region=REGION, trust=trust)
