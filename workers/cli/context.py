"""Opens what commands work on, as the settings say: buckets, keystore, Kafka. Closes it again."""

# ruff: noqa: PLC0415  # each command imports only what it opens, so that the others start fast
import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from workers.observe import logs
from workers.settings import BadSettings, LogFormat, LogLevel, Settings
from workers.settings_checks import variable

if TYPE_CHECKING:
    from workers.sealing.keystore import Keystore
    from workers.sealing.root import FileRoot
    from workers.store.port import Store
    from workers.stream.connection import KafkaConnection
    from workers.stream.publish import Publisher

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a command's coroutine to its end. Only what goes wrong underneath is logged, on stderr."""
    logs.configure(LogFormat.AUTO, LogLevel.WARNING)
    return asyncio.run(main)


@asynccontextmanager
async def open_data(settings: Settings) -> AsyncIterator["Store"]:
    """The bucket of the sealed objects."""
    async with _open(settings, "s3_bucket") as store:
        yield store


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator["Store"]:
    """The bucket of the ledger and the policy chains."""
    async with _open(settings, "ledger_bucket") as store:
        yield store


@asynccontextmanager
async def open_keystore(settings: Settings) -> AsyncIterator["Keystore"]:
    """The keystore over its one or two buckets, with the root key."""
    from workers.sealing.keystore import Keystore

    root = load_root(settings)
    async with AsyncExitStack() as opened:
        stores = [await opened.enter_async_context(_open(settings, "keystore_bucket"))]
        if settings.keystore_bucket_2 is not None:
            stores.append(await opened.enter_async_context(_open(settings, "keystore_bucket_2")))
        yield Keystore(stores, root, life=settings.key_cache_life)


def load_root(settings: Settings) -> "FileRoot":
    from workers.sealing.root import FileRoot

    path: Path = needed(settings, "root_key_file")
    return FileRoot.load(path)


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
    )


def needed(settings: Settings, name: str) -> Any:  # Any: the setting's own type
    """The setting's value; raises BadSettings where it is not set."""
    value = getattr(settings, name)
    if value is None:
        meaning = Settings.model_fields[name].description
        raise BadSettings(f"{variable(name)} is not set", remedy=f"Set it. {meaning}")
    return value


@asynccontextmanager
async def _open(settings: Settings, bucket: str) -> AsyncIterator["Store"]:
    from workers.store.s3 import open_s3

    store = await open_s3(
        needed(settings, bucket),
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        allow_http=settings.allow_clear_text,
    )
    try:
        yield store
    finally:
        await store.close()
