"""A running fleet as an operator has it: the installed `strongroom` as processes, and what they print."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("strongroom")
START_WITHIN = 60.0  # seconds
STOP_WITHIN = 40.0  # seconds


@dataclass
class Worker:
    """`strongroom worker ROLE` as its own process. With `trust` its port speaks HTTPS."""

    name: str
    process: "subprocess.Popen[bytes]"
    port: int
    log_file: Path
    trust: Path | None = None

    def log(self) -> str:
        return self.log_file.read_text()[-6000:]

    def get(self, path: str) -> tuple[int, str]:
        """Status and text; 0 while nobody answers."""
        try:
            trusting = ssl.create_default_context(cafile=str(self.trust)) if self.trust else None
            url = f"{'https' if self.trust else 'http'}://127.0.0.1:{self.port}{path}"
            with urllib.request.urlopen(url, timeout=5, context=trusting) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait_ready(self) -> "Worker":
        def ready() -> bool:
            assert self.process.poll() is None, f"{self.name} ended early:\n{self.log()}"
            return self.get("/readyz")[0] == 200

        wait_until(ready, START_WITHIN, lambda: f"{self.name} is not ready:\n{self.log()}")
        return self

    def metric(self, name: str) -> float:
        """The sum over all labels."""
        lines = [
            line for line in self.get("/metrics")[1].splitlines() if line.startswith((name + " ", name + "{"))
        ]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def suspend(self) -> None:
        """SIGSTOP: it does nothing, heartbeats included."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_WITHIN)


@dataclass
class Fleet:
    """Settings that all its processes share; `folder` holds the root key and the workers' logs.

    `trust`: who vouches for the workers' ports, where the settings give them certificates.
    """

    folder: Path
    bootstrap: str
    endpoint: str
    bucket: str
    prefix: str
    partitions: int = 4
    settings: dict[str, str] = field(default_factory=dict)
    trust: Path | None = None
    workers: list[Worker] = field(default_factory=list)
    command: tuple[str | Path, ...] = (COMMAND,)

    @property
    def root_key_file(self) -> Path:
        return self.folder / "root.key"

    def environment(self, changed: Mapping[str, str] | None = None) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("STRONGROOM_")}
        return {
            **clean,
            "STRONGROOM_KAFKA_BOOTSTRAP": self.bootstrap,
            "STRONGROOM_TOPIC_PREFIX": self.prefix,
            "STRONGROOM_TOPIC_PARTITIONS": str(self.partitions),
            "STRONGROOM_TOPIC_REPLICATION": "1",
            "STRONGROOM_S3_ENDPOINT": self.endpoint,
            "STRONGROOM_S3_BUCKET": self.bucket,
            "STRONGROOM_ROOT_KEY_FILE": str(self.root_key_file),
            "STRONGROOM_GROUP": f"{self.prefix}archive",
            "STRONGROOM_FLUSH_INTERVAL": "1",
            "STRONGROOM_LOG_FORMAT": "json",
            **self.settings,
            **(changed or {}),
        }

    def run(
        self, *arguments: str, code: int = 0, changed: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> "subprocess.CompletedProcess[bytes]":
        """One command to its end; asserts its exit code."""
        done = subprocess.run(
            [*self.command, *arguments],
            env=self.environment(changed),
            input=stdin,
            capture_output=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == code, (
            f"strongroom {' '.join(arguments)} ended with {done.returncode}, not {code}:\n"
            f"{done.stdout.decode()[-3000:]}\n{done.stderr.decode()[-3000:]}"
        )
        return done

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def create(self) -> None:
        """What an operator does once: the root key and the topics."""
        subprocess.run(
            ["openssl", "rand", "-base64", "-out", str(self.root_key_file), "32"],
            check=True,
            capture_output=True,
        )
        self.root_key_file.chmod(0o600)
        self.run("topics", "create")

    def worker(self, name: str = "worker-0", *, role: str = "archive", **settings: str) -> Worker:
        """Started, and not waited for."""
        return self.started(name, "worker", role, **settings)

    def started(self, name: str, *command: str, **settings: str) -> Worker:
        """`strongroom` with this command, which serves health on a port."""
        port = free_port()
        log_file = self.folder / f"{name}-{len(self.workers)}.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [*self.command, *command],
                env=self.environment({"STRONGROOM_HTTP_PORT": str(port), **settings}),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        worker = Worker(name, process, port, log_file, self.trust)
        self.workers.append(worker)
        return worker

    def wait_archived(self, ends: Mapping[int, int], within: float = 120.0) -> None:
        """Until the ledger's heads have reached these ends of the log."""

        def reached() -> bool:
            for worker in self.workers:
                assert worker.process.poll() in (None, 0, -signal.SIGKILL), worker.log()
            heads = {head["partition"]: head["next"] for head in self.json("ledger", "head")}
            return all(heads.get(partition, 0) >= end for partition, end in ends.items() if end)

        wait_until(reached, within, lambda: "".join(worker.log() for worker in self.workers))

    def close(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()


def wait_until(holds: Callable[[], bool], within: float, otherwise: Callable[[], str]) -> None:
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise())
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
