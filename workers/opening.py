"""Opens what workers and commands work on, as the settings say: buckets, keystore, Kafka. Closes it again."""

# ruff: noqa: PLC0415  # each command imports only what it opens, so that the others start fast
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from workers.settings import BadSettings, Settings
from workers.settings_checks import listed, variable

if TYPE_CHECKING:
    from topics.registry import TopicSpec
    from workers.observe.http import HealthServer
    from workers.roles.startup import Surroundings
    from workers.sealing.keystore import Keystore
    from workers.sealing.kms import KmsRoot
    from workers.sealing.replicas import Replicas
    from workers.sealing.root import RootKey
    from workers.sealing.roots import Roots
    from workers.store.port import Store
    from workers.store.retry import Retry
    from workers.stream.connection import KafkaConnection
    from workers.stream.publish import Publisher


@asynccontextmanager
async def open_surroundings(settings: Settings, retry: "Retry") -> AsyncIterator["Surroundings"]:
    """What a worker stands on, for its start and for the doctor. Nothing is opened or asked of it yet."""
    from workers.roles.startup import Bucket, Surroundings

    names = [needed(settings, name) for name in ("s3_bucket", "ledger_bucket", "keystore_bucket")]
    if settings.keystore_bucket_2 is not None:
        names.append(settings.keystore_bucket_2)
    buckets = {name: Bucket(f"s3://{name}", partial(_bucket, settings, name)) for name in names}
    surroundings = Surroundings(
        connect=partial(kafka, settings),
        topics=topic_specs(settings),
        buckets=tuple(buckets.values()),
        data_bucket=buckets[needed(settings, "s3_bucket")],
        ledger_bucket=buckets[needed(settings, "ledger_bucket")],
        root_keys=partial(open_roots, settings),
        group=settings.group,
        retry=retry,
        policy_topics=policy_topics(settings),
    )
    try:
        yield surroundings
    finally:
        await surroundings.close()


@asynccontextmanager
async def open_data(settings: Settings) -> AsyncIterator["Store"]:
    """The bucket of the sealed objects."""
    async with _open_bucket(settings, needed(settings, "s3_bucket")) as store:
        yield store


@asynccontextmanager
async def open_all_data(settings: Settings) -> AsyncIterator[list["Store"]]:
    """The data bucket, then its replicas from which retention deletes too."""
    names = [needed(settings, "s3_bucket"), *listed(settings.also_delete_from or "")]
    async with AsyncExitStack() as opened:
        yield [await opened.enter_async_context(_open_bucket(settings, name)) for name in names]


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator["Store"]:
    """The bucket of the ledger and the policy chains."""
    async with _open_bucket(settings, needed(settings, "ledger_bucket")) as store:
        yield store


@asynccontextmanager
async def open_checkpoints(settings: Settings, ledger: "Store") -> AsyncIterator[list["Store"]]:
    """The buckets of checkpoints: the ledger's, which is open, and a second one where it is set."""
    if settings.checkpoint_bucket is None:
        yield [ledger]
        return
    async with _open_bucket(settings, settings.checkpoint_bucket) as second:
        yield [ledger, second]


@asynccontextmanager
async def open_keystore(settings: Settings, roots: "Roots | None" = None) -> AsyncIterator["Keystore"]:
    """The keystore over its one or two buckets, with `roots`, or those that the settings name."""
    from workers.sealing.keystore import Keystore

    async with AsyncExitStack() as opened:
        if roots is None:
            roots = await opened.enter_async_context(open_roots(settings))
        stores = await opened.enter_async_context(_open_key_buckets(settings))
        yield Keystore(stores, roots, life=settings.key_cache_life)


@asynccontextmanager
async def open_key_rows(settings: Settings) -> AsyncIterator["Replicas"]:
    """The keystore's rows, for somebody who holds no root key."""
    from workers.sealing.replicas import Replicas

    async with _open_key_buckets(settings) as stores:
        yield Replicas(stores, requests=32)


@asynccontextmanager
async def open_roots(settings: Settings) -> AsyncIterator["Roots"]:
    """The root keys that the settings name, those in KMS in front.

    Raises BadSettings where they name none; as FileRoot.load, open_kms and KmsRoot.named.
    """
    from workers.sealing.root import FileRoot
    from workers.sealing.roots import Roots

    async with AsyncExitStack() as opened:
        roots: list[RootKey] = [*await _kms_roots(settings, opened)]
        if settings.root_key_file is not None:
            roots.append(FileRoot.load(settings.root_key_file))
        if not roots:
            raise BadSettings(
                f"neither {variable('kms_keys')} nor {variable('root_key_file')} is set",
                remedy=f"Set one. {Settings.model_fields['kms_keys'].description}",
            )
        yield Roots(roots)


async def _kms_roots(settings: Settings, opened: AsyncExitStack) -> "list[KmsRoot]":
    names = listed(settings.kms_keys or "")
    if not names:
        return []
    from workers.sealing.kms import Kms, KmsRoot, region_of
    from workers.store.kms import open_kms

    clients: dict[str, Kms] = {}
    roots = []
    for name in names:
        region = region_of(name) or settings.kms_region
        if region not in clients:
            clients[region] = await opened.enter_async_context(
                open_kms(region, endpoint=settings.kms_endpoint, allow_http=settings.allow_clear_text)
            )
        roots.append(await KmsRoot.named(clients[region], name))
    return roots


@asynccontextmanager
async def open_publisher(settings: Settings) -> AsyncIterator["Publisher"]:
    """What writes to topics. Everything sent is acknowledged, or has raised, when the block ends."""
    from workers.stream.publish import Publisher

    publisher = Publisher(kafka(settings))
    await publisher.start()
    try:
        yield publisher
        await publisher.flush()
    finally:
        await publisher.stop()


def kafka(settings: Settings) -> "KafkaConnection":
    from workers.stream.connection import KafkaConnection
    from workers.tls import client_context

    tls = (
        client_context(
            ca_file=settings.kafka_ca_file,
            cert_file=settings.kafka_cert_file,
            key_file=settings.kafka_key_file,
        )
        if settings.kafka_tls
        else None
    )
    password = settings.kafka_sasl_password
    return KafkaConnection(
        bootstrap=settings.kafka_bootstrap,
        ssl_context=tls,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        sasl_username=settings.kafka_sasl_username,
        sasl_password=password.get_secret_value() if password else None,
        allow_clear_text=settings.allow_clear_text,
    )


def health_server(settings: Settings) -> "HealthServer":
    """The process's one port, not yet listening. Raises Fatal for a certificate that can't be used."""
    from workers.observe.http import HealthServer
    from workers.tls import server_context

    tls = (
        server_context(cert_file=settings.http_cert_file, key_file=settings.http_key_file)
        if settings.http_cert_file is not None and settings.http_key_file is not None
        else None
    )
    return HealthServer(settings.http_host, settings.http_port, tls)


def topic_specs(settings: Settings) -> "tuple[TopicSpec, ...]":
    """The topics as this fleet wants them."""
    from topics import registry

    return registry.topics(
        prefix=settings.topic_prefix,
        partitions=settings.topic_partitions,
        replication=settings.topic_replication,
        raw_retention_ms=int(settings.raw_retention * 1000),
    )


def policy_topics(settings: Settings) -> dict[str, str]:
    """Name in Kafka → name of its policy chain."""
    from workers.ledger.policy_kinds import KINDS

    return {settings.topic_prefix + name: name for name in KINDS}


async def policy_topic_ids(settings: Settings) -> dict[str, str]:
    """Name of a policy chain → id of its topic as it is. Raises Retryable, and Fatal for a missing topic."""
    from workers.stream.log import Log

    topics = policy_topics(settings)
    log = Log(kafka(settings))
    try:
        return {topics[name]: topic_id for name, topic_id in (await log.topic_ids(topics)).items()}
    finally:
        await log.close()


def needed(settings: Settings, name: str) -> Any:  # Any: the setting's own type
    """The setting's value; raises BadSettings where it is not set."""
    value = getattr(settings, name)
    if value is None:
        meaning = Settings.model_fields[name].description
        raise BadSettings(f"{variable(name)} is not set", remedy=f"Set it. {meaning}")
    return value


@asynccontextmanager
async def _open_key_buckets(settings: Settings) -> AsyncIterator[list["Store"]]:
    names = [needed(settings, "keystore_bucket")]
    if settings.keystore_bucket_2 is not None:
        names.append(settings.keystore_bucket_2)
    async with AsyncExitStack() as opened:
        yield [await opened.enter_async_context(_open_bucket(settings, name)) for name in names]


@asynccontextmanager
async def _open_bucket(settings: Settings, bucket: str) -> AsyncIterator["Store"]:
    store = await _bucket(settings, bucket)
    try:
        yield store
    finally:
        await store.close()


async def _bucket(settings: Settings, bucket: str) -> "Store":
    from workers.observe import metrics
    from workers.store.s3 import open_s3

    return await open_s3(
        bucket,
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        allow_http=settings.allow_clear_text,
        told=lambda operation: metrics.STORE_REQUESTS.labels(operation=operation).inc(),
    )
