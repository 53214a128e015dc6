"""A payload, keys and credentials are planted, a fleet is driven through faults, and nothing shows them."""

import base64
import json
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest

from tests.stack import ladder
from tests.stack import s3 as s3_servers
from tests.stack.s3 import S3, s3_on
from tests.stack.secured import PASSWORD, USER, SecuredKafka
from tests.system.fleet import Fleet, wait_until
from tests.system.leaky import BROKEN_SOURCE
from tests.system.planted import Scan, forms
from tests.system.reader import Reader
from tests.system.seen import Seen, bucket, logs, pages, printed, topics
from tests.system.traffic import envelope, produce
from tests.torture.s3_faults import STORE_FAULTS, StoreProxies, Storm
from tests.torture.tally import Tally

pytestmark = pytest.mark.system

REPOSITORY = Path(__file__).parents[2]
PAGE = "https://shop.example"
PAYLOAD = "planted payload/of a customer+7f3a"  # differs in each of its forms
WRONG_PASSWORD, WRONG_SECRET = "planted password/of Kafka+91c2", "planted wrong/secret+5d10"
AWS_SECRET = "planted-secret/of+AWS/e04b41d2"
ROOT = b"planted root key of 32 bytes/+#!"
KEY, BROKEN_KEY, UNKNOWN_KEY = "acme-web-key-0001", "acme-broken-key-01", "nobody-knows-this-key"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """A server of its own: its secret is a planted one."""
    with mock.patch.object(s3_servers, "SECRET_KEY", AWS_SECRET):
        server = s3_on(ladder.s3())
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def fleet(secured_kafka: SecuredKafka, s3: S3, tmp_path: Path) -> Iterator[Fleet]:
    """It logs in to Kafka with a password."""
    fleet = Fleet(tmp_path, secured_kafka.login, s3.endpoint, s3.bucket(), f"t{uuid.uuid4().hex[:8]}-")
    fleet.settings = {
        "STRONGROOM_KAFKA_TLS": "true",
        "STRONGROOM_KAFKA_CA_FILE": str(secured_kafka.authority.trust),
        "STRONGROOM_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "STRONGROOM_KAFKA_SASL_USERNAME": USER,
        "STRONGROOM_KAFKA_SASL_PASSWORD": PASSWORD,
        "STRONGROOM_LOG_LEVEL": "debug",
        "STRONGROOM_OBSERVE_INTERVAL": "2",
        "STRONGROOM_SESSION_TIMEOUT": "6",
        "STRONGROOM_HEARTBEAT_INTERVAL": "1",
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "PLANTED_PAYLOAD": PAYLOAD,
        "PYTHONPATH": str(REPOSITORY),
    }
    fleet.root_key_file.write_bytes(base64.b64encode(ROOT) + b"\n")
    fleet.root_key_file.chmod(0o600)
    yield fleet
    fleet.close()


@pytest.fixture
def clear(secured_kafka: SecuredKafka) -> str:
    """The same brokers as the test asks them."""
    return secured_kafka.kafka.bootstrap


def behave(fleet: Fleet, *faults: str) -> None:
    """From now on its processes have these faults (leaky.py)."""
    fleet.command = (sys.executable, "-m", "tests.system.leaky", ",".join(faults))


def secrets(s3: S3) -> dict[str, bytes]:
    return {
        "payload": PAYLOAD.encode(),
        "password": PASSWORD.encode(),
        "wrong password": WRONG_PASSWORD.encode(),
        "wrong AWS secret": WRONG_SECRET.encode(),
        "AWS secret": s3.secret_key.encode(),
        "root key": ROOT,
    }


def records(first: int, count: int, key: str = KEY) -> list[tuple[str, bytes]]:
    """Customers' records, with the payload wherever one can stand."""
    return [(f"{key}{n}", planted_envelope(key, f"m{n}")) for n in range(first, first + count)]


def planted_envelope(key: str, message: str) -> bytes:
    page = dict.fromkeys(("title", "path", "referrer"), PAYLOAD) | {"url": f"{PAGE}/{PAYLOAD}"}
    visitor = {"anonymousId": PAYLOAD, "userId": PAYLOAD}
    properties = {"card": PAYLOAD, PAYLOAD: 1}
    plain = json.loads(
        envelope(key, message, origin=PAGE, properties=properties, context={"page": page}, **visitor)
    )
    return json.dumps({**plain, "userAgent": PAYLOAD, "ip": PAYLOAD, "referer": f"{PAGE}/{PAYLOAD}"}).encode()


def bad_records() -> list[tuple[str, bytes]]:
    """What no rule gets to see, and what none must fail on."""
    text = PAYLOAD.encode()
    return [
        ("x", b"{not json " + text),
        ("x", b""),
        ("x", text),
        ("x", b"\xff\xfe" + text),
        ("x", b'{"v":9,"writeKey":"k","note":"%s"}' % text),
        ("x", b'{"v":1,"writeKey":{"%s":1},"receivedAt":"%s","event":"%s"}' % (text, text, text)),
        ("x", planted_envelope(KEY, "long").replace(b'"v"', b" " * 1_100_000 + b'"v"')),
        *((f"x{n}", planted_envelope(BROKEN_KEY, f"b{n}")) for n in range(5)),
    ]


def set_up(fleet: Fleet, *keys: tuple[str, str]) -> None:
    """`keys`: write keys of the customer, and whose."""
    fleet.run("topics", "create")
    fleet.run("workspaces", "set", "acme", "--source", "web:browser", "--source", f"{BROKEN_SOURCE}:server")
    for key, source in keys:
        fleet.run("keys", "add", key, "--workspace", "acme", "--source", source)


def through_faults(fleet: Fleet, s3: S3, clear: str, seen: Seen) -> None:
    """Archives through errors and resets of S3, a keystore that is denied, kill -9 and a takeover."""
    topic = f"{fleet.prefix}raw-events"
    proxies = StoreProxies(s3.endpoint, Tally(STORE_FAULTS), 7, ["victim", "other"])
    try:
        victim, other = (
            fleet.worker(name, STRONGROOM_S3_ENDPOINT=proxies.of[name].endpoint) for name in proxies.of
        )
        for worker in (victim, other):
            worker.wait_ready()
        storms = [
            (proxy, Storm(kind, share=0.1))
            for proxy in proxies.of.values()
            for kind in ("s3_internal_error", "s3_reset", "s3_torn_response")
        ]
        for proxy, storm in storms:
            proxies.do(proxy.begin(storm))
        fleet.wait_archived(produce(clear, topic, [*records(0, 800), *bad_records()]))
        for proxy, storm in storms:
            proxies.do(proxy.end(storm))
        assert sum(storm.hits for _, storm in storms) > 0
        denials = [(proxy, Storm("credentials_403", matching=r"/keys/")) for proxy in proxies.of.values()]
        for proxy, storm in denials:
            proxies.do(proxy.begin(storm))
        ends = produce(clear, topic, records(800, 200, UNKNOWN_KEY))
        wait_until(lambda: all(storm.hits > 1 for _, storm in denials), 30, victim.log)
        for worker in (victim, other):
            seen["metrics"] += pages(worker)
        victim.kill()
        for proxy, storm in denials:
            proxies.do(proxy.end(storm))
        fleet.wait_archived({**ends, **produce(clear, topic, records(1000, 400))})
        seen["metrics"] += pages(other)
        assert other.stop() == 0
    finally:
        proxies.close()


COMMANDS = (
    ("verify", "--deep"),
    ("keys", "list"),
    ("keystore", "status"),
)


def commands(fleet: Fleet, s3: S3, seen: Seen) -> None:
    """What an operator runs, also with wrong settings and over a damaged object."""
    wrong_root = fleet.folder / "wrong.key"
    wrong_root.write_bytes(base64.b64encode(bytes(32)))
    wrong_root.chmod(0o600)
    wrong = {
        "STRONGROOM_ROOT_KEY_FILE": str(wrong_root),
        "STRONGROOM_KAFKA_SASL_PASSWORD": WRONG_PASSWORD,
        "AWS_SECRET_ACCESS_KEY": WRONG_SECRET,
    }
    read = ("read", "--workspace", "acme")
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(fleet.run, *arguments) for arguments in COMMANDS]
        done += [
            pool.submit(fleet.run, *arguments, changed=changed, code=code)
            for arguments, changed, code in (
                (("config", "--json"), {}, 0),
                (("doctor",), wrong, 3),
                (read, {"STRONGROOM_ROOT_KEY_FILE": str(wrong_root)}, 1),
            )
        ]
        whole = pool.submit(fleet.run, *read).result()
    spoil(s3, fleet.bucket)
    assert PAYLOAD in whole.stdout.decode()  # which is what it is for
    for one in (*(each.result() for each in done), whole, fleet.run(*read, code=1)):
        where = "config" if "config" in one.args else "commands"
        seen[where].append(printed(one, results="read" not in one.args))


def spoil(s3: S3, name: str) -> None:
    """Flips a bit of an object of the customer's."""
    listed = s3.client.list_objects_v2(Bucket=name, Prefix="data/ws=acme/src=web/")["Contents"]
    key = listed[0]["Key"]
    got = s3.client.get_object(Bucket=name, Key=key)
    body = bytearray(got["Body"].read())
    body[len(body) // 2] ^= 1
    s3.client.put_object(Bucket=name, Key=key, Body=bytes(body), Metadata=got["Metadata"])


def keys_of(reader: Reader) -> dict[str, bytes]:
    """Every key that a customer's records were sealed under, from the root on."""
    data_keys: dict[str, bytes] = {}
    data_key = reader.data_key

    def noted(blob: bytes, context: dict[str, str]) -> bytes:
        data_keys[context["object"]] = data_key(blob, context)
        return data_keys[context["object"]]

    with mock.patch.object(reader, "data_key", noted):
        assert sum(PAYLOAD.encode() in line for _, line in reader.lines()) > 1000
    return {**reader.unwrapped, **data_keys}


PLACES = (
    *("log", "metrics", "topic", "config", "commands"),
    *("object name", "object metadata", "object body"),
)


def all_seen(fleet: Fleet, s3: S3, clear: str, seen: Seen) -> Seen:
    seen["log"] += logs(fleet)
    seen["topic"] += topics(clear, fleet.prefix)
    whole = seen | bucket(s3.client, fleet.bucket)
    assert {place for place, texts in whole.items() if any(text for _, text in texts)} == set(PLACES)
    return whole


def nothing_yet() -> Seen:
    return {place: [] for place in PLACES}


def test_no_secret_is_shown_whatever_goes_wrong(fleet: Fleet, s3: S3, clear: str) -> None:
    behave(fleet, "rule")
    set_up(fleet, (KEY, "web"), (BROKEN_KEY, BROKEN_SOURCE))
    seen = nothing_yet()
    through_faults(fleet, s3, clear, seen)
    reader = Reader(s3.client, fleet.bucket, fleet.root_key_file)
    keys = keys_of(reader)
    assert len(keys) > 6
    assert reader.counts()["dead-lettered"]["intake_error"] == 5
    commands(fleet, s3, seen)
    scan = Scan({**secrets(s3), **keys})
    shown = all_seen(fleet, s3, clear, seen)
    assert any("origin-observations" in where for where, _ in shown["topic"])
    for place, texts in shown.items():
        assert scan.over(texts) == [], place


def test_a_leak_is_found_in_each_place(fleet: Fleet, s3: S3, clear: str) -> None:
    """Each of another secret or in another form, so that none can be taken for another."""
    behave(fleet, "log", "metrics", "topic", "name", "metadata", "body", "error", "config")
    set_up(fleet)
    seen = nothing_yet()
    worker = fleet.worker().wait_ready()
    topic = f"{fleet.prefix}raw-events"
    fleet.wait_archived(produce(clear, topic, [*records(0, 50, UNKNOWN_KEY), *bad_records()]))
    seen["metrics"] += pages(worker)
    worker.kill()
    seen["config"].append(printed(fleet.run("config")))
    seen["commands"].append(
        printed(fleet.run("read", "--workspace", "_platform", "--disposition", "quarantined", code=1))
    )
    scan = Scan(secrets(s3))
    found = {
        place: {(leak.secret, leak.form) for leak in scan.over(texts)}
        for place, texts in all_seen(fleet, s3, clear, seen).items()
    }
    leaks = {
        "log": ("payload", "raw"),
        "metrics": ("root key", "hex"),
        "topic": ("payload", "Base64"),
        "object name": ("AWS secret", "hex"),
        "object metadata": ("password", "Base64"),
        "object body": ("payload", "Base64"),
        "commands": ("payload", "raw"),
        "config": ("password", "raw"),
    }
    assert {place for place, leak in leaks.items() if leak not in found[place]} == set(), found


@pytest.mark.parametrize("how", sorted({how for how, _ in forms(PAYLOAD.encode())}))
def test_each_form_is_found(how: str) -> None:
    scan = Scan({"payload": PAYLOAD.encode()})
    for form, text in forms(PAYLOAD.encode()):
        if form == how:
            assert scan("here", b"before " + text + b" behind")
    assert not scan("here", b"before and behind")
