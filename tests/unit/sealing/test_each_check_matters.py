"""Every check of the sealing code is taken out once, alone, and a named case comes out otherwise.

The table must name each check that is found in the source (checks.py) and nothing else: whoever adds one adds
a case that needs it, here, or in edits.py if it is none of the shapes that are found.
"""

import pytest

from tests.unit.sealing import checks
from tests.unit.sealing.cases import Case
from tests.unit.sealing.checks import Check
from tests.unit.sealing.edits import EDITS
from tests.unit.sealing.test_refusals import CASES

CASE_OF = {case.name: case for case in CASES}
FOUND = checks.found()

# function → check, as checks.py writes it → a case that without it is not refused, or as something else
NOTICED_BY: dict[str, dict[str, str]] = {
    "format.Header.require": {
        "self.context != service_context(expected)": "asked for: another object",
    },
    "format.hkdf_expand": {
        "length > 64": "deriving: more than one round gives",
    },
    "format.seal": {
        "len(dek) != KEY_BYTES": "sealing: under a data key of 0 bytes",
        "len(msgid) != MSGID_BYTES": "sealing: with a message id of 0 bytes",
        "len(plain) > PLAIN_MAX": "sealing: more than one object may hold",
        "SUITE_PAIR[0] in context": "sealing: with the suite's own pair in the context",
        "not is_printable(''.join(context) + ''.join(context.values()))": "sealing: under the name 'a\\nb'",
        "size_of(metadata) > METADATA_MAX": "sealing: a byte more of metadata than we store",
    },
    "format.open_sealed": {
        "not hmac.compare_digest(commitment, header.commitment)": "commitment: flipped",
        "except InvalidTag": "body: first byte flipped",
    },
    "format.parse_header": {
        "headers[CIPHER] != SUITE_PAIR[1]": "downgrade: suite 20",
        "headers[WRAPPING] != KMS_CONTEXT": "wrapping: raw AES",
    },
    "format._sealing_headers": {
        "old and new": "mixed: V3 with x-amz-cek-alg",
        "old": "downgrade: V1",
        "not new": "header: none at all",
        "DESCRIPTION in headers": "wrapping: with a material description",
        "missing": "header: without x-amz-c",
        "sum(map(len, ours.values())) > S3_METADATA_MAX": "header: longer than S3 stores",
    },
    "format._context": {
        "except (ValueError, RecursionError)": "context: no JSON",
        "not isinstance(pairs, _Pairs)": "context: a list",
        "len(dict(pairs)) != len(pairs)": "context: a pair twice, alike",
        "not all((isinstance(value, str) and is_printable(name + value) for name, value in pairs))": (
            "context: no number"
        ),
        "context.get(SUITE_PAIR[0]) != SUITE_PAIR[1]": "context: an empty object",
    },
    "format._decode": {
        "except (binascii.Error, ValueError)": "commitment: not Base64",
        "_encode(raw) != text": "commitment: unused Base64 bits set",
        "length is not None and len(raw) != length": "message id: too long",
    },
    "keys.checked_unit": {
        "checked_id('workspace', unit.workspace)": "unit: no key for a/b/web/2026-11-25/main",
        "checked_id('source', unit.source)": "unit: no key for acme/../x/2026-11-25/main",
        "day_number(unit.day)": "unit: no key for acme/web/2026-02-30/main",
        "unit.clock not in set(Clock)": "unit: no key for acme/web/2026-11-25/x",
    },
    "keys.day_number": {
        "raise Poison": "unit: no key for acme/web/2026-02-30/main",
    },
    "keys.checked_key": {
        "len(key) != KEY_BYTES": "row of a workspace: its key of 16 bytes",
    },
    "keys.canonical": {
        "not is_printable(text)": "wrapping: under the context 'a\\x00' of 2 characters",
        "len(text) > 65535": "wrapping: under the context 'xxxxxxxxx' of 65536 characters",
    },
    "keys.WrappingKey.unwrap": {
        "generation_in(blob, self.level)": "wrapped key: magic flipped",
        "blob[:HEADER.size] != self._header": "wrapped key: workspace flipped",
        "except InvalidTag": "wrapped key: iv flipped",
    },
    "keys.generation_in": {
        "len(blob) != BLOB_BYTES": "wrapped key: truncated",
        "magic != level.value": "wrapped key: magic flipped",
        "version != BLOB_VERSION": "wrapped key: version flipped",
    },
    "unit_key.UnitKey.check": {
        "self._clock() > self._lease.until": "key's life: over, to open",
    },
    "unit_key.UnitKey.seal": {
        "self.check()": "key's life: over, to seal",
        "not self.durable": "sealing: under a key that may be in one bucket only",
    },
    "unit_key.UnitKey.open": {
        "self.check()": "key's life: over, to open",
        "header.require(context_of(self.unit, object_key))": "asked for: another object",
    },
    "unit_key.UnitKey.unwrap": {
        "self.check()": "key's life: over, to unwrap",
    },
    "workspaces.Workspaces.keys": {
        "generation not in keys.by_generation": "row of a unit: under a generation that its workspace lacks",
    },
    "workspaces.Workspaces._load": {
        "row is None and (not create)": "missing: the workspace's row, to read",
        "standing.current not in found": "row of a workspace: lacks its current generation",
    },
    "workspaces.Workspaces._unwrapped": {
        "except Refused": "root: another one, with the right one's name",
    },
    "workspaces.usable": {
        "row.state is State.TOMBSTONE": "shredded unit: its marker is gone, to read",
        "row.state is State.DISABLED": "disabled unit: to read",
        "not isinstance(row, kind)": "row: a workspace's where a unit's is meant",
    },
    "keystore.Keystore.unit_key": {
        "await self._validated()": "shredded unit: to read",
    },
    "keystore.Keystore.derived": {
        "await self._validated()": "cache: its workspace shredded, a look is due, to derive",
    },
    "keystore.Keystore.reader": {
        "await self._validated()": "reader: revoked, a look is due",
    },
    "readers.Readers._load": {
        "row is None": "reader: never made",
    },
    "readers.add": {
        "await retry.call(partial(replicas.settled, name)) is None": "reader: of a workspace that has no key",
    },
    "readers.revoke": {
        "await retry.call(partial(replicas.settled, name)) is None": "reader: never made, to revoke",
    },
    "reader_rows.unwrapped": {
        "except Refused": "reader: another one's secret in its row",
    },
    "keystore.Keystore.prepare": {
        "await self.unit_key(unit, create=True)": "preparing: under another root",
        "isinstance(outcome, BaseException) and (not isinstance(outcome, Retryable | Poison))": (
            "preparing: under another root"
        ),
    },
    "keystore.Keystore._validated": {
        "self._clock() > self._lease.until": "cache: unreachable for longer than its life, to ask",
    },
    "keystore.Keystore._load": {
        "checked_unit(unit)": "unit: no key for a/b/web/2026-11-25/main",
    },
    "keystore.Keystore._unwrapped": {
        "row is None and (not create)": "missing: a unit never sealed for, to read",
    },
    "replicas.Replicas.__init__": {
        "not 1 <= len(stores) <= 2": "buckets: 0",
        "len({store.name for store in stores}) < len(stores)": "buckets: one twice",
    },
    "replicas.Replicas.read": {
        "marked": "shredded unit: its row put back from an old version, to read",
    },
    "replicas.Replicas.settled": {
        "any(marked)": "shredded unit: its row is gone, to write",
    },
    "replicas.Replicas.created": {
        "found is None": "buckets: a name taken, then not found",
    },
    "replicas.Replicas.changed": {
        "raise Unavailable": "buckets: a row that others keep changing",
    },
    "replicas.Replicas._settle": {
        "any((copy.age == latest.age and copy.body != latest.body for copy in copies))": (
            "race: two of one new unit, in two buckets that must agree"
        ),
        "raise Unavailable": "buckets: a second one that others keep changing",
    },
    "rows.named": {
        "found is None": "row's name: ''",
        "clock not in set(Clock)": "row's name: of no clock",
    },
    "rows.decode": {
        "except (msgspec.MsgspecError, UnicodeDecodeError)": "row of a unit: empty",
        "row.format != FORMAT": "row of a unit: of a later format",
        "found != name": "row: a tombstone copied to another unit's name",
    },
    "rows.to_blob": {
        "except (binascii.Error, UnicodeEncodeError)": "row of a unit: its wrapped key no Base64",
    },
    "unit_rows.unwrapped": {
        "except Refused": "row: with the wrapped key of another day",
    },
    "tombstones.append": {
        "await LOG.append(stores, msgspec.json.encode(entry, order='sorted'))": (
            "cache: a key disabled, a look is due"
        ),
    },
    "tombstones.Tail._rows": {
        "except (msgspec.MsgspecError, UnicodeDecodeError)": "log: an entry that is none",
    },
    "numbered_log.NumberedLog.append": {
        "not await self._take(store, seq, body)": "log: another entry in the second bucket's place",
    },
    "numbered_log.NumberedLog.read": {
        "except NotFound": "log: an entry that is listed and not found",
    },
    "withdraw.disable": {
        "await _turn(replicas, name, State.DISABLED, now)": "disabled unit: to read",
        "await tombstones.append(replicas.stores, names, State.DISABLED, now)": (
            "cache: a key disabled, a look is due"
        ),
    },
    "withdraw.enable": {
        "await _turn(replicas, name, State.ACTIVE, now)": (
            "shredded unit: put back from an old version, to enable"
        ),
    },
    "withdraw.tombstone": {
        "await purge_old_versions(store, name)": "shredded unit: while the bucket keeps an old version",
        "await tombstones.append(replicas.stores, names, State.TOMBSTONE, now)": (
            "cache: its unit shredded, the log read, to open with the key held"
        ),
    },
    "root.FileRoot.create": {
        "except FileExistsError": "root's file: made where there is one",
        "except OSError": "root's file: made in no folder",
    },
    "root.FileRoot.unwrap": {
        "not blob.startswith(MAGIC)": "root in a file: a wrapping of another kind",
        "except (InvalidTag, ValueError)": "root in a file: a wrapping flipped",
    },
    "root._read": {
        "not stat.S_ISREG(found.st_mode)": "root's file: a pipe",
        "found.st_mode & 63": "root's file: readable by its group",
        "except FileNotFoundError": "root's file: missing",
        "except OSError": "root's file: a folder",
    },
    "root._decoded": {
        "len(key) != KEY_BYTES": "root's file: of 16 bytes",
    },
    "roots.Roots.__init__": {
        "not roots": "roots: none",
        "self.fingerprints.count(name) > 1": "roots: one twice",
    },
    "roots.Roots.wrap_all": {
        "failures.append(outcome)": "roots: one of two is down, to wrap",
        "failures": "roots: one of two is down, to wrap",
        "raise outcome": "roots: a fault of ours in one of two, to wrap",
    },
    "roots.Roots.unwrap": {
        "not failed": "root: another one, to read",
        "raise max": "roots: both down, to open",
    },
    "roots.Roots._added": {
        "failures.append(error)": "rewrapping: KMS may not hand the key on, and nobody opens it",
        "except StrongroomError": "rewrapping: KMS may not hand the key on, and nobody opens it",
    },
    "kms.KmsRoot.named": {
        "not _is_key(arn)": "root in KMS: an alias that stands for no key",
    },
    "kms.KmsRoot.wrap": {
        "_require('wrapped by', wrapped.key, self._arn)": "root in KMS: wrapped by another key",
    },
    "kms.KmsRoot.unwrap": {
        "not 1 <= len(blob) <= BLOB_MAX": "root in KMS: a wrapping longer than KMS takes",
        "_require('opened by', unwrapped.key, self._arn)": "root in KMS: opened by another key",
    },
    "kms.KmsRoot.take_over": {
        "_require('opened by', again.source, source)": "root in KMS: handed on from another key",
        "_require('wrapped by', again.key, self._arn)": "root in KMS: handed on to another key",
    },
    "kms._require": {
        "answered != asked": "root in KMS: opened by another key",
    },
    "kms._stored": {
        "not 1 <= len(blob) <= BLOB_MAX": "root in KMS: wrapped as nothing",
    },
    "withdraw._turn": {
        "await _change(replicas, name, edit)": "disabled unit: to read",
    },
    "withdraw._change": {
        "row is None": "withdrawing: a key that is not there",
        "row.state is State.TOMBSTONE": "shredded unit: its marker is gone, to enable",
        "await replicas.settled(name)": "shredded unit: put back from an old version, to enable",
    },
    "withdraw.disable_at": {
        "await tombstones.append(replicas.stores, [name], State.DISABLED, now)": (
            "cache: a key disabled at a revision, a look is due"
        ),
    },
    "withdraw.enable_past": {
        "await _change(replicas, name, edit)": "shredded unit: its marker is gone, to enable for good",
    },
    "rotate.Rotation.begun": {
        "target > GENERATIONS_MAX": "rotation: of a workspace whose generations are used up",
    },
    "rotate.Rotation._rewrap_one": {
        "row.under not in keys.by_generation": "rotation: of a unit under a generation that is not there",
    },
    "rotate.Rotation._usable": {
        "row is None": "rotation: of a workspace that never was",
    },
    "rotate_root.rewrap_all": {
        "met.append(await _rewrap(replicas, roots, workspace, retry=retry, now=now))": (
            "rotation: of the root, by one that opens nothing"
        ),
    },
    "rotate_root._rewrap": {
        "raise Unavailable": "rotation: of the root, of a row that others keep changing",
    },
    "rotate_root._wrapped": {
        "except Refused": "rotation: of the root, over another workspace's key",
    },
    "old_versions.purge_old_versions": {
        "old": "rotation: old versions of a row that the bucket keeps",
    },
    "key_events.put_on_record": {
        "await LOG.append(stores, msgspec.json.encode(event, order='sorted'))": (
            "rotation: that can't be put on record"
        ),
    },
    "key_events.events": {
        "except (msgspec.MsgspecError, UnicodeDecodeError)": (
            "rotation: over a record of key events that is garbage"
        ),
    },
}


def assert_refused(case: Case) -> None:
    assert case.outcome() == case.refusal


def assert_noticed(case: Case) -> None:
    assert case.outcome() != case.refusal, f"nobody needs it: {case.name} is refused all the same"


def test_every_check_has_a_case_that_needs_it() -> None:
    named = {Check(function, what) for function, whats in NOTICED_BY.items() for what in whats}
    assert set(FOUND) == named


@pytest.mark.parametrize("check", FOUND, ids=str)
def test_a_check_matters(check: Check) -> None:
    case = CASE_OF[NOTICED_BY[check.function][check.what]]
    with checks.without(check):
        assert_noticed(case)
    assert_refused(case)


@pytest.mark.parametrize("what", EDITS)
def test_a_protection_matters(what: str) -> None:
    edit, name = EDITS[what]
    with checks.edited(edit):
        assert_noticed(CASE_OF[name])
    assert_refused(CASE_OF[name])


def test_a_check_that_nobody_needs_would_be_found() -> None:
    """What the tests above rely on: a case that has nothing to do with a check goes on as before."""
    check = next(check for check in FOUND if "suite" in str(check).lower())
    with checks.without(check), pytest.raises(AssertionError, match="nobody needs it"):
        assert_noticed(CASE_OF["body: last tag byte flipped"])
