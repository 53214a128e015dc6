"""What can be wrong with settings, said in words that name the variable and what to do."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from workers.tls import is_here

if TYPE_CHECKING:
    from workers.settings import Settings

PREFIX = "STRONGROOM_"
# AWS KMS API reference, DescribeKey, KeyId: key ARN, alias ARN, alias, id
KMS_KEY = re.compile(
    r"(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/|alias/)?[A-Za-z0-9/_-]{1,250}\Z", re.ASCII
)
# no user, path or query: credentials come the usual AWS way, and a bucket is a setting of its own
ENDPOINT = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?/?\Z", re.ASCII)
ENDPOINTS = ("s3_endpoint", "kms_endpoint")


def listed(value: str) -> list[str]:
    """Of `a, b`."""
    return [part.strip() for part in value.split(",") if part.strip()]


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper()


def is_secret(info: FieldInfo) -> bool:
    return "SecretStr" in str(info.annotation)


def misfits(settings: "Settings") -> Iterator[str]:
    """What does not fit together although each setting alone is good."""
    for check in (_addresses, _sizes, _membership, _security, _clear_text):
        yield from check(settings)


def unknown(environ: Mapping[str, str], fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    """Variables with our prefix that no setting has, with the nearest that one does."""
    known = [name.upper() for name in fields]
    for name in sorted(environ):
        said = name.removeprefix(PREFIX)
        if said != name and said not in known:
            near = difflib.get_close_matches(said, known, n=1)
            yield f"{name} is no setting" + (f"; did you mean {PREFIX}{near[0]}?" if near else "")


def in_words(
    error: ValidationError, environ: Mapping[str, str], fields: Mapping[str, FieldInfo]
) -> Iterator[str]:
    """What pydantic found, one line a variable."""
    for each in error.errors(include_url=False):
        if each["type"] == "default_factory_not_called":  # the setting that it follows is bad, and said so
            continue
        if not each["loc"]:  # from _fit_together
            yield from str(each["ctx"]["error"]).split("\n")
            continue
        name = str(each["loc"][0])
        value = "***" if is_secret(fields[name]) else repr(environ.get(variable(name), ""))
        words = WORDS.get(each["type"], each["msg"][:1].lower() + each["msg"][1:])
        yield f"{variable(name)} is {value}: {words.format(**each.get('ctx', {}))}"


# pydantic's error type → what it means to a person
WORDS = {
    "int_parsing": "it must be a whole number",
    "float_parsing": "it must be a number",
    "finite_number": "it must be a number",
    "bool_parsing": "it must be true or false",
    "enum": "it must be {expected}",
    "greater_than": "it must be above {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than_equal": "it must be at most {le}",
    "string_pattern_mismatch": "it may hold letters, digits, dots, dashes and underscores, 1 to 200 of them",
}


def _sizes(s: "Settings") -> Iterator[str]:
    if s.flush_bytes > s.buffer_bytes_max:
        yield (
            f"{variable('flush_bytes')} ({s.flush_bytes}) is above {variable('buffer_bytes_max')} "
            f"({s.buffer_bytes_max}): no batch would ever grow so large"
        )
    if s.fetch_bytes > s.buffer_bytes_max:
        yield (
            f"{variable('fetch_bytes')} ({s.fetch_bytes}) is above {variable('buffer_bytes_max')} "
            f"({s.buffer_bytes_max}): one chunk would overfill the buffer"
        )
    if s.compression == "gzip" and s.compression_level > 9:
        yield f"{variable('compression_level')} is {s.compression_level}, gzip goes to 9"
    if s.destroy_after < s.key_cache_life:
        yield (
            f"{variable('destroy_after')} ({s.destroy_after:g}) is below {variable('key_cache_life')} "
            f"({s.key_cache_life:g}): a key would be destroyed while caches still seal with it"
        )


def _membership(s: "Settings") -> Iterator[str]:
    if s.heartbeat_interval * 3 > s.session_timeout:
        yield (
            f"{variable('heartbeat_interval')} ({s.heartbeat_interval:g} s) is more than a third of "
            f"{variable('session_timeout')} ({s.session_timeout:g} s): two lost ones cost the partitions"
        )


def _security(s: "Settings") -> Iterator[str]:
    for whose in ("kafka", "http", "keyservice"):
        cert_file, key_file = f"{whose}_cert_file", f"{whose}_key_file"
        if (getattr(s, cert_file) is None) != (getattr(s, key_file) is None):
            yield f"{variable(cert_file)} and {variable(key_file)}: set both or neither"
    if not s.kafka_tls and (s.kafka_ca_file or s.kafka_cert_file):
        yield f"certificates are set, but {variable('kafka_tls')} is not: nothing would be encrypted"
    login = (s.kafka_sasl_mechanism, s.kafka_sasl_username, s.kafka_sasl_password)
    if any(part is not None for part in login) and None in login:
        yield (
            f"{variable('kafka_sasl_mechanism')}, {variable('kafka_sasl_username')} and "
            f"{variable('kafka_sasl_password')} go together: set all or none"
        )
    if s.kms_keys is not None:
        yield from _root_keys(s.kms_keys)
    if s.keystore_bucket_2 is not None and s.keystore_bucket_2 == s.keystore_bucket:
        yield f"{variable('keystore_bucket_2')} is {variable('keystore_bucket')} again: it guards nothing"
    yield from _checkpoints(s)


def _checkpoints(s: "Settings") -> Iterator[str]:
    if s.checkpoint_bucket is None:
        return
    if s.checkpoint_bucket == s.ledger_bucket:
        yield f"{variable('checkpoint_bucket')} is {variable('ledger_bucket')} again: it guards nothing"
    if s.checkpoint_key_file is None and s.checkpoint_trust_file is None:
        yield (
            f"{variable('checkpoint_bucket')} is set, and neither {variable('checkpoint_key_file')} nor "
            f"{variable('checkpoint_trust_file')} is: nothing would be written there, or believed"
        )


def _root_keys(said: str) -> Iterator[str]:
    keys = listed(said)
    for key in keys:
        if not KMS_KEY.match(key):
            yield f"{variable('kms_keys')} has {key!r}, which is no ARN, id or alias/… of a KMS key"
    if len(set(keys)) < len(keys):
        yield f"{variable('kms_keys')} has one key twice: the second guards nothing"
    if len(keys) > 2:
        yield f"{variable('kms_keys')} has {len(keys)} keys: one or two are used"


def _clear_text(s: "Settings") -> Iterator[str]:
    if s.allow_clear_text:
        return
    servers = listed(s.kafka_bootstrap)
    if not s.kafka_tls and (far := [server for server in servers if not is_here(_host(server))]):
        yield (
            f"{variable('kafka_bootstrap')} names {far[0]}, which would be spoken to in clear text: "
            f"set {variable('kafka_tls')}=true, or {variable('allow_clear_text')}=true on a trusted network"
        )
    if s.keyservice_cert_file is None and not is_here(s.keyservice_host):
        yield (
            f"{variable('keyservice_host')} is {s.keyservice_host}, where keys would pass in clear text: set "
            f"{variable('keyservice_cert_file')}, or {variable('allow_clear_text')}=true on a trusted network"
        )
    for name in ENDPOINTS:
        url = getattr(s, name)
        endpoint = urlsplit(url or "")
        if endpoint.scheme == "http" and not is_here(endpoint.hostname or ""):
            yield (
                f"{variable(name)} is {url}, which would be spoken to in clear text: "
                f"use https://, or {variable('allow_clear_text')}=true on a trusted network"
            )


def _addresses(s: "Settings") -> Iterator[str]:
    for server in s.kafka_bootstrap.split(","):
        _, _, port = server.strip().rpartition(":")
        if not _host(server.strip()) or not port.isdecimal() or not 0 < int(port) < 65536:
            yield f"{variable('kafka_bootstrap')} has {server.strip()!r}, which is not host:port"
    for name in ENDPOINTS:
        url = getattr(s, name)
        if url and not ENDPOINT.match(url):
            yield f"{variable(name)} is {url!r}, which is not http(s)://host or http(s)://host:port"


def _host(server: str) -> str:
    """Of `host:port` or `[::1]:port`."""
    return server.rpartition(":")[0].removeprefix("[").removesuffix("]")
