"""Settings come from the environment; what is wrong is said whole, in words, before anything runs."""

import re
from pathlib import Path

import pytest

from workers.settings import BadSettings, Settings
from workers.settings_checks import variable

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def given(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"STRONGROOM_{name}", value)


def refusal(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    given(monkeypatch, **variables)
    with pytest.raises(BadSettings) as refused:
        Settings.load()
    assert refused.value.exit_code == 2
    return refused.value.message


def test_defaults_load_from_an_empty_environment() -> None:
    settings = Settings.load()
    assert (settings.flush_bytes, settings.flush_interval) == (64 * 1024 * 1024, 300.0)
    assert settings.s3_bucket is settings.ledger_bucket is settings.keystore_bucket is None


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, FLUSH_BYTES="1000", FLUSH_INTERVAL="0.5", LOG_FORMAT="json", KAFKA_TLS="true")
    settings = Settings.load()
    assert (settings.flush_bytes, settings.flush_interval, settings.kafka_tls) == (1000, 0.5, True)


def test_other_buckets_follow_the_data_bucket_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, S3_BUCKET="data", KEYSTORE_BUCKET="keys")
    settings = Settings.load()
    assert (settings.ledger_bucket, settings.keystore_bucket) == ("data", "keys")


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, S3_ENDPOINT="", FLUSH_BYTES="")
    assert Settings.load().s3_endpoint is None


def test_everything_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, FLUSH_BYTES="many", HTTP_PORT="70000", COMPRESSION="lzma", S3_BUKET="x")
    assert "STRONGROOM_FLUSH_BYTES is 'many': it must be a whole number" in said
    assert "STRONGROOM_HTTP_PORT is '70000': it must be at most 65535" in said
    assert "STRONGROOM_COMPRESSION is 'lzma': it must be 'zstd' or 'gzip'" in said
    assert "STRONGROOM_S3_BUKET is no setting; did you mean STRONGROOM_S3_BUCKET?" in said


def test_a_bad_bucket_is_not_blamed_on_those_that_follow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, S3_BUCKET="no spaces please")
    assert "STRONGROOM_S3_BUCKET" in said
    assert "LEDGER_BUCKET" not in said


def test_a_strange_variable_has_no_far_fetched_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(monkeypatch, ZZZ="1").endswith("STRONGROOM_ZZZ is no setting")


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0"])
def test_durations_are_finite_and_positive(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert "STRONGROOM_FLUSH_INTERVAL" in refusal(monkeypatch, FLUSH_INTERVAL=value)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"FLUSH_BYTES": "2000", "BUFFER_BYTES_MAX": "1000", "FETCH_BYTES": "10"},
            "no batch would ever grow",
        ),
        (
            {"FETCH_BYTES": "2000", "BUFFER_BYTES_MAX": "1000", "FLUSH_BYTES": "10"},
            "one chunk would overfill",
        ),
        ({"SESSION_TIMEOUT": "5", "HEARTBEAT_INTERVAL": "2"}, "more than a third"),
        ({"COMPRESSION": "gzip", "COMPRESSION_LEVEL": "10"}, "gzip goes to 9"),
        ({"KAFKA_TLS": "true", "KAFKA_CERT_FILE": "c.pem"}, "set both or neither"),
        ({"HTTP_KEY_FILE": "k.pem"}, "STRONGROOM_HTTP_CERT_FILE and STRONGROOM_HTTP_KEY_FILE: set both"),
        ({"KEYSERVICE_KEY_FILE": "k.pem"}, "STRONGROOM_KEYSERVICE_KEY_FILE: set both"),
        ({"KAFKA_CA_FILE": "ca.pem"}, "nothing would be encrypted"),
        ({"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "u"}, "set all or none"),
        ({"S3_BUCKET": "b", "KEYSTORE_BUCKET_2": "b"}, "it guards nothing"),
        ({"S3_BUCKET": "b", "CHECKPOINT_BUCKET": "b", "CHECKPOINT_KEY_FILE": "k"}, "it guards nothing"),
        ({"S3_BUCKET": "b", "CHECKPOINT_BUCKET": "c"}, "CHECKPOINT_TRUST_FILE is: nothing would be written"),
        ({"KAFKA_BOOTSTRAP": "localhost"}, "not host:port"),
        ({"KAFKA_BOOTSTRAP": "localhost:9092,"}, "not host:port"),
        ({"S3_ENDPOINT": "minio:9000"}, "not http(s)://host"),
        ({"S3_ENDPOINT": "https://user:password@minio"}, "not http(s)://host"),
        ({"KMS_ENDPOINT": "kms:8080"}, "not http(s)://host"),
        ({"KMS_KEYS": "my key"}, "no ARN, id or alias"),
        ({"KMS_KEYS": "arn:aws:s3:::bucket"}, "no ARN, id or alias"),
        ({"KMS_KEYS": "alias/a, alias/a"}, "one key twice"),
        ({"KMS_KEYS": "alias/a,alias/b,alias/c"}, "one or two are used"),
    ],
)
def test_settings_that_do_not_fit_together(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    assert words in refusal(monkeypatch, **variables)


@pytest.mark.parametrize(
    "variables",
    [
        {"KAFKA_BOOTSTRAP": "kafka.internal:9092"},
        {"KAFKA_BOOTSTRAP": "127.0.0.1:9092,10.0.0.1:9092"},
        {"S3_ENDPOINT": "http://minio:9000"},
        {"S3_ENDPOINT": "http://localhost.evil.example"},
        {"KMS_ENDPOINT": "http://kms.internal"},
        {"KEYSERVICE_HOST": "0.0.0.0"},
    ],
)
def test_clear_text_to_another_machine_must_be_allowed(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    assert "in clear text" in refusal(monkeypatch, **variables)
    given(monkeypatch, ALLOW_CLEAR_TEXT="true")
    Settings.load()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_clear_text_to_this_machine_is_allowed(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    given(monkeypatch, KAFKA_BOOTSTRAP=f"{host}:9092", S3_ENDPOINT=f"http://{host}:9000")
    Settings.load()


@pytest.mark.parametrize(
    "keys",
    [
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "mrk-1234abcd12ab34cd56ef1234567890ab",
        "alias/strongroom/root",
        "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/root, alias/other",
    ],
)
def test_a_root_key_in_kms_is_named_in_any_way_that_kms_knows(
    monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    given(monkeypatch, KMS_KEYS=keys, S3_REGION="eu-west-1")
    settings = Settings.load()
    assert (settings.kms_keys, settings.kms_region) == (keys, "eu-west-1")


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "planted-9d1f"
    said = refusal(monkeypatch, KAFKA_SASL_PASSWORD=secret)
    assert secret not in said
    given(monkeypatch, KAFKA_SASL_MECHANISM="PLAIN", KAFKA_SASL_USERNAME="u")
    settings = Settings.load()
    assert secret not in repr(settings) + str(settings) + str(settings.model_dump())
    assert settings.kafka_sasl_password is not None
    assert settings.kafka_sasl_password.get_secret_value() == secret


def test_no_setting_is_dead() -> None:
    sources = [path for path in (ROOT / "workers").rglob("*.py") if not path.name.startswith("settings")]
    code = "\n".join(path.read_text() for path in sources)
    for name in Settings.model_fields:
        assert re.search(rf'settings\.{name}\b|"{name}"', code), f"nothing reads {name}"
