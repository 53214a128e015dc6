"""Every setting: its STRONGROOM_* variable, default, unit and meaning. docs/settings.md is made from it."""

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from workers.errors import Fatal
from workers.ledger.pack import Compression
from workers.settings_checks import PREFIX, in_words, misfits, unknown

MIB = 1024 * 1024


class BadSettings(Fatal):
    """The environment holds what can't be used. The message lists everything that is wrong."""

    exit_code = 2


class LogFormat(StrEnum):
    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class SaslMechanism(StrEnum):
    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class Unit:
    """Stands beside a setting's type, for the docs."""

    name: str


Bytes = Annotated[int, Field(gt=0), Unit("bytes")]
Count = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, le=86400 * 365, allow_inf_nan=False), Unit("seconds")]
PerSecond = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False), Unit("a second")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")]


def setting(default: object, meaning: str) -> Any:  # Any: what pydantic's own Field returns
    return Field(default=default, description=meaning)


def same_as(other: str, meaning: str) -> Any:
    """A setting that follows another one unless it is set itself."""
    return Field(
        default_factory=lambda values: values.get(other),
        description=meaning,
        json_schema_extra={"same_as": other},
    )


class Settings(BaseSettings):
    """What a process was told. Reads the environment; durations are seconds, sizes bytes."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    # Kafka
    kafka_bootstrap: str = setting(
        "127.0.0.1:9092", "Brokers to ask first: `host:port`, several with commas between them"
    )
    kafka_tls: bool = setting(False, "Speak TLS to the brokers; host names are verified")
    kafka_ca_file: Path | None = setting(
        None, "PEM file of the authorities that may vouch for a broker; without it, the system's"
    )
    kafka_cert_file: Path | None = setting(
        None, "PEM file of the certificate that this client shows (mutual TLS)"
    )
    kafka_key_file: Path | None = setting(None, "PEM file of that certificate's private key")
    kafka_sasl_mechanism: SaslMechanism | None = setting(None, "How to log in to the brokers")
    kafka_sasl_username: str | None = setting(None, "User name for that")
    kafka_sasl_password: SecretStr | None = setting(None, "Password for that")
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,100}$")] = setting(
        "", "Stands before the name of every topic, so that several fleets can share a cluster"
    )
    topic_partitions: Count = setting(
        8, "Partitions of raw-events and the other topics that workers share out"
    )
    raw_retention: Seconds = setting(
        7 * 86400.0, "How long the brokers keep raw-events: what no worker archived by then is lost"
    )
    topic_replication: Count = setting(3, "Replicas of every topic")
    group: Name = setting("strongroom-archive", "Consumer group of the archive workers")
    instance_id: Name | None = setting(
        None,
        "Static member id: a restart under it moves no partition. Two live workers must never share one",
    )
    session_timeout: Seconds = setting(
        12.0, "A worker that was silent for so long loses its partitions to the others"
    )
    heartbeat_interval: Seconds = setting(
        2.0, "How often a worker tells the broker that it lives; at most a third of SESSION_TIMEOUT"
    )
    fetch_bytes: Bytes = setting(MIB, "Largest fetch from one partition, which is the size of a chunk")

    # S3; credentials come the usual AWS way (AWS_ACCESS_KEY_ID, AWS_PROFILE, a role, …)
    s3_endpoint: str | None = setting(None, "URL of an S3-protocol server; without it, Amazon S3")
    s3_region: Name = setting("us-east-1", "Region that requests are signed for")
    s3_bucket: Name | None = setting(
        None, "Bucket of the sealed data. Needed by everything that touches the archive"
    )
    ledger_bucket: Name | None = same_as(
        "s3_bucket", "Bucket of the ledger, the policy chains and fleet.json"
    )
    keystore_bucket: Name | None = same_as("s3_bucket", "Bucket of the wrapped keys")
    keystore_bucket_2: Name | None = setting(
        None, "Second keystore bucket: a key is used only once it is durable in both"
    )
    root_key_file: Path | None = setting(
        None, "File of a root key (mode 0600), for development. What seals or opens needs a root key"
    )
    kms_keys: str | None = setting(
        None,
        "Root keys in AWS KMS: ARN, id or alias of one key, or of two with a comma between them. Each wraps "
        "every workspace's key, and each opens it without the other. By its ARN a key may be in any region",
    )
    kms_endpoint: str | None = setting(
        None, "URL of a server that speaks the protocol of KMS; without it, Amazon's"
    )
    kms_region: Name = same_as("s3_region", "Region of the root keys that are not named by an ARN")
    key_cache_life: Seconds = setting(
        300.0, "How long a key may be used without asking the keystore again: the latency of a shredding"
    )
    put_concurrency: Count = setting(16, "Uploads under way at once in one worker")
    allow_clear_text: bool = setting(
        False, "Permit unencrypted connections to hosts other than this one; for trusted networks only"
    )

    # the archive worker
    flush_bytes: Bytes = setting(64 * MIB, "Plain bytes of a partition's batch at which it is flushed")
    flush_interval: Seconds = setting(300.0, "Age of a partition's batch at which it is flushed")
    observe_interval: Seconds = setting(
        15.0, "Span of a partition's records of which the judge of origins is told at once"
    )
    buffer_bytes_max: Bytes = setting(
        512 * MIB, "Plain bytes that wait in one worker; beyond them it stops fetching until a flush is done"
    )
    unknown_key_bytes_max: Bytes = setting(
        16 * MIB,
        "Bytes a partition and hour of records with unregistered write keys that are kept aside; the rest is "
        "rejected",
    )
    compression: Compression = setting(Compression.ZSTD, "How objects are compressed before they are sealed")
    compression_level: Annotated[int, Field(ge=1, le=19)] = setting(
        1, "1 is fastest; zstd goes to 19, gzip to 9"
    )
    policy_stale_after: Seconds = setting(
        5.0,
        "Age of the copy of keys and workspaces from which on nothing is decided by it: the worker holds",
    )
    shutdown_timeout: Seconds = setting(
        20.0, "Time for the last flush after SIGTERM; what it does not reach, the next owner fetches again"
    )
    progress_timeout: Seconds = setting(
        120.0, "The watchdog ends a worker that has records waiting and made no progress for so long"
    )

    # the steward
    sweep_interval: Seconds = setting(
        86400.0, "Time between two passes of the steward, which list all objects; an orphan only takes room"
    )
    sweep_delete: bool = setting(
        False, "Whether the steward deletes orphans; without it, it only counts them (a dry run)"
    )
    sweep_grace: Annotated[float, Field(ge=0, le=86400 * 365, allow_inf_nan=False), Unit("seconds")] = (
        setting(3600.0, "An orphan younger than this is left alone")
    )
    sweep_brake_share: Share = setting(
        0.1, "A pass deletes nothing if more than this share of all objects would go"
    )
    sweep_brake_least: Count = setting(100, "Fewer orphans than this never brake")
    replay_interval: Seconds = setting(
        60.0, "Time between two looks of the steward for unclaimed records whose write key is known by now"
    )
    checkpoint_key_file: Path | None = setting(
        None,
        "PEM file (mode 0600) of the Ed25519 key by which the steward signs checkpoints of the ledger; "
        "without it, it writes none",
    )
    checkpoint_trust_file: Path | None = setting(
        None,
        "PEM file of the public keys whose checkpoints are believed, one behind the other: the newest and, "
        "after a rotation, the older ones. `verify` needs it to know a checkpoint",
    )
    checkpoint_bucket: Name | None = setting(
        None,
        "Second bucket of checkpoints: out of reach of whoever could cut the ledger, it shows a cut",
    )
    checkpoint_interval: Seconds = setting(
        600.0, "Time between two passes that write a checkpoint of each chain that has grown"
    )
    checkpoint_entries: Count = setting(
        1000, "Entries between two checkpoints while a pass catches up with a chain"
    )

    # retention, and the retain worker
    retention_plans: str = setting(
        "",
        "Plans on which a workspace may have a retention, with commas between them; without it, all of them",
    )
    retain_group: Name = setting("strongroom-retain", "Consumer group of the retain workers")
    retain_interval: Seconds = setting(3600.0, "Time between two plans of a retain worker")
    retain_delete: bool = setting(
        False, "Whether the retain worker deletes what is due; without it, it only plans (a dry run)"
    )
    retain_concurrency: Count = setting(4, "Units that a retain worker disposes of at once")
    retain_brake_workspace: Share = setting(
        0.1,
        "A backlog above this share of a workspace's bytes waits for `strongroom retention approve`",
    )
    retain_brake_fleet: Share = setting(0.05, "So does one above this share of all bytes")
    retain_brake_least: Bytes = setting(64 * MIB, "A backlog of fewer bytes than these never waits")
    destroy_after: Seconds = setting(
        86400.0,
        "How long a due unit's key is disabled, and can be enabled again, before it is destroyed",
    )
    also_delete_from: str | None = setting(
        None,
        "Buckets that the data bucket is replicated to, with commas between them: what is disposed of is "
        "deleted there too, and each has a line in the certificate",
    )

    # the judge
    judge_group: Name = setting("strongroom-judge", "Consumer group of the judges")
    judge_snapshot_interval: Seconds = setting(
        300.0,
        "Time between two snapshots of what a judge knows of a partition; what came after, a restart folds "
        "again",
    )

    # the key service
    keyservice_host: str = setting("127.0.0.1", "Address at which customers' clients reach the key service")
    keyservice_port: Annotated[int, Field(ge=0, le=65535)] = setting(
        8443, "Port of the key service; 0 takes a free one and logs it"
    )
    keyservice_cert_file: Path | None = setting(
        None, "PEM file of its certificate: it then speaks HTTPS alone. Needed but on this machine itself"
    )
    keyservice_key_file: Path | None = setting(None, "PEM file of that certificate's private key")
    keyservice_region: Name = same_as("s3_region", "Region that its callers must sign for")
    keyservice_rate: PerSecond = setting(
        200.0, "Calls a second that one reader may make; ten seconds' worth may come at once"
    )
    keyservice_failure_rate: PerSecond = setting(
        1.0,
        "Failed signatures a second from one address (of IPv6, /64); ten seconds' worth may come at once",
    )
    keyservice_connections: Count = setting(1000, "Connections open at once; further ones are closed")
    keyservice_timeout: Seconds = setting(
        10.0, "A call that takes longer is answered with an error; its client tries again"
    )

    # every process
    http_host: str = setting("127.0.0.1", "Address for /livez, /readyz and /metrics")
    http_port: Annotated[int, Field(ge=0, le=65535)] = setting(
        9464, "Port for /livez, /readyz and /metrics; 0 takes a free one and logs it"
    )
    http_cert_file: Path | None = setting(
        None, "PEM file of that port's certificate: it then speaks HTTPS alone, to probes and to Prometheus"
    )
    http_key_file: Path | None = setting(None, "PEM file of that certificate's private key")
    snippet_cdn: str = setting(
        "cdn.segment.com", "Host, or URL, that serves the SDK to pages; `strongroom csp` asks policies for it"
    )
    snippet_collectors: str = setting(
        "api.segment.io", "Hosts, or URLs, that pages send their calls to, with commas between them; likewise"
    )
    actor: str | None = setting(
        None, "Who is recorded as having changed policy; without it, the user and the machine"
    )
    log_format: LogFormat = setting(LogFormat.AUTO, "`auto` is `console` on a terminal and `json` otherwise")
    log_level: LogLevel = setting(LogLevel.INFO, "The least severe log lines to write")

    @classmethod
    def load(cls) -> Self:
        """Settings from the environment. Raises BadSettings that names every variable that is wrong."""
        fields = cls.model_fields
        problems = list(unknown(os.environ, fields))
        try:
            settings = cls()
        except ValidationError as error:
            problems += in_words(error, os.environ, fields)
        else:
            if not problems:
                return settings
        raise BadSettings(
            "these settings can't be used:\n" + "\n".join(f"  {problem}" for problem in problems),
            remedy="docs/settings.md explains each",
        )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if problems := list(misfits(self)):
            raise ValueError("\n".join(problems))
        return self


def unit(info: FieldInfo) -> str:
    return next((part.name for part in info.metadata if isinstance(part, Unit)), "")
