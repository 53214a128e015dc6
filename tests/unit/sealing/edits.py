"""Protections that are no condition, no `except` and no bare call, each with the text that takes it away."""

from tests.unit.sealing.checks import Edit

UNVERIFIED = '__import__("tests.unit.sealing.unverified", fromlist=["Unverified"]).Unverified(key)'

# what it protects: how it is taken away, and a named case that then comes out otherwise
EDITS: dict[str, tuple[Edit, str]] = {
    "a body's tag": (
        Edit("format.open_sealed", "AESGCM(key).decrypt(", f"{UNVERIFIED}.decrypt("),
        "body: last tag byte flipped",
    ),
    "the commitment's length": (
        Edit("format.parse_header", "headers[COMMITMENT], COMMITMENT_BYTES)", "headers[COMMITMENT])"),
        "commitment: truncated",
    ),
    "the message id's length": (
        Edit("format.parse_header", "headers[MSGID], MSGID_BYTES)", "headers[MSGID])"),
        "message id: truncated",
    ),
    "a material description counts as a header of V3": (
        Edit("format._sealing_headers", "(*V3, DESCRIPTION)", "V3"),
        "mixed: a material description with V2",
    ),
    "a name written twice in a context is seen": (
        Edit(
            "format._context",
            "json.loads(text, object_pairs_hook=_Pairs)",
            "_Pairs(json.loads(text).items())",
        ),
        "context: a name twice",
    ),
    "values of a context are strings": (
        Edit("format._context", "isinstance(value, str) and ", ""),
        "context: a number",
    ),
    "names and values of a context are printable": (
        Edit("format._context", " and is_printable(name + value)", ""),
        "context: a control character",
    ),
    "a wrapped key's tag": (
        Edit("keys.WrappingKey.__init__", "AESGCM(checked_key(key))", UNVERIFIED),
        "wrapped key: tag flipped",
    ),
    "a wrapped key's context": (
        Edit("keys.canonical", 'return b"".join(encoded)', 'return b""'),
        "wrapping: a data key asked for as another object's",
    ),
    "printable: US-ASCII alone": (
        Edit("keys.is_printable", "text.isascii() and ", ""),
        "context: not US-ASCII",
    ),
    "printable: no control characters": (
        Edit("keys.is_printable", " and text.isprintable()", ""),
        "context: a control character",
    ),
    "a day is written in one way": (
        Edit("keys.day_number", "if DAY.match(day):", "if True:"),
        "unit: no key for acme/web/20261125/main",
    ),
    "a day is in the calendar": (
        Edit("keys.day_number", "date.fromisoformat(day)\n", "pass\n"),
        "unit: no key for acme/web/2026-02-30/main",
    ),
    "an expired key is withdrawn from who holds it": (
        Edit("unit_key.UnitKey.expire", 'Lease(float("-inf"))', "self._lease"),
        "key's life: over, to open",
    ),
    "a detached key lives on with nobody's lease": (
        Edit("unit_key.UnitKey.detach", "Lease(self._lease.until)", "self._lease"),
        "key's life: detached, and its lease prolonged for others",
    ),
    "a workspace's row is in use": (
        Edit("workspaces.Workspaces._load", "usable(row, name, WorkspaceRow)", "row"),
        "disabled workspace: to read",
    ),
    "a workspace's key loaded before the news is loaded again": (
        Edit("workspaces.Workspaces._load", "if forgotten == self._forgotten:", "if True:"),
        "race: shredded workspace, while it is loaded",
    ),
    "a workspace's key that is to wrap is in every bucket": (
        Edit("workspaces.Workspaces._found", " or (create and not keys.durable)", ""),
        "buckets: the second can't be given keys/v1/ws=acme/l1.json, to seal under a key read before",
    ),
    "a withdrawn workspace's key is forgotten": (
        Edit(
            "workspaces.Workspaces.forget",
            "for workspace in workspaces:\n            self._cached.pop(workspace, None)",
            "pass",
        ),
        "cache: a neighbour of a shredded workspace that was not loaded yet",
    ),
    "a unit's row is in use": (
        Edit("keystore.Keystore._unwrapped", "usable(row, name, UnitRow)", "row"),
        "disabled unit: to read",
    ),
    "a unit's key loaded before the news is loaded again": (
        Edit("keystore.Keystore._load", "if news == self._news:", "if True:"),
        "race: shredded unit",
    ),
    "news are counted": (
        Edit("keystore.Keystore._forget", "self._news += 1", "pass"),
        "race: shredded unit",
    ),
    "a look at the log is due": (
        Edit("keystore.Keystore.unit_key", " or self._clock() >= self._next_poll", ""),
        "cache: its unit shredded, a look is due, to seal",
    ),
    "a unit's key that is to seal is in every bucket": (
        Edit(
            "keystore.Keystore.unit_key",
            "if key is None or (create and not key.durable):",
            "if key is None:",
        ),
        "buckets: the second can't be given keys/v1/ws=acme/src=web/day=2026-11-25/clock=main.json, "
        "to seal under a key read before",
    ),
    "units that the log names are forgotten": (
        Edit("keystore.Keystore._poll", "self._forget(units | under)", "self._forget(under)"),
        "cache: its unit shredded, the log read, to open with the key held",
    ),
    "units of a workspace that the log names are forgotten": (
        Edit("keystore.Keystore._poll", "self._forget(units | under)", "self._forget(units)"),
        "cache: its workspace shredded, the log read, to open with the key held",
    ),
    "workspaces that the log names are forgotten": (
        Edit("keystore.Keystore._poll", "self._workspaces.forget(workspaces)", "pass"),
        "cache: a neighbour of a shredded workspace that was not loaded yet",
    ),
    "with more news than are read every unit is forgotten": (
        Edit("keystore.Keystore._poll", "self._forget(list(self._units))", "pass"),
        "cache: more news than are read, to open with a key held",
    ),
    "with more news than are read every workspace is forgotten": (
        Edit("keystore.Keystore._poll", "self._workspaces.forget_all()", "pass"),
        "cache: more news than are read, a workspace's among them",
    ),
    "a life counts from before the look": (
        Edit("keystore.Keystore._poll", "started + self._life", "self._clock() + self._life"),
        "cache: its life counts from before the look",
    ),
    "a forgotten key is withdrawn from who holds it": (
        Edit("keystore.Keystore._forget", "key.expire()", "pass"),
        "cache: its unit shredded, the log read, to open with the key held",
    ),
    "a replaced key is not prolonged": (
        Edit("keystore.Keystore._load", "replaced.detach()", "pass"),
        "cache: a key replaced by one that may seal, after its life",
    ),
    "a dropped key is not prolonged": (
        Edit("keystore.Keystore._load", "popitem(last=False)[1].detach()", "popitem(last=False)"),
        "cache: a key dropped for others, after its life",
    ),
    "a tombstone beats every revision": (
        Edit("replicas.Copy.age", "self.row.state is State.TOMBSTONE, self", "False, self"),
        "shredded unit: put back into the second bucket, markers gone, to write",
    ),
    "the later revision counts": (
        Edit("replicas.Copy.age", "State.TOMBSTONE, self.row.revision", "State.TOMBSTONE, 0"),
        "disabled unit: its old version put back into the second bucket, to write",
    ),
    "every bucket's marker counts": (
        Edit("replicas.Replicas.settled", "for store in self.stores)", "for store in self.stores[:1])"),
        "shredded unit: only the second bucket's marker is left of it, to write",
    ),
    "a row is made only where there is none": (
        Edit("replicas.Replicas.created", "encode(row), IF_ABSENT)", "encode(row), None)"),
        "race: shredded before its first row is written",
    ),
    "a row is changed only as it was read": (
        Edit(
            "replicas.Replicas.changed",
            "condition = IF_ABSENT if copies is None else IfMatch(copies[0].etag)",
            "condition = None",
        ),
        "race: shredded while its row is changed",
    ),
    "a row is carried over only onto what was read": (
        Edit(
            "replicas.Replicas._carry_over",
            "condition = IF_ABSENT if copy is None else IfMatch(copy.etag)",
            "condition = None",
        ),
        "race: shredded while its row is carried over to the second bucket",
    ),
    "a bucket that is down is not one without the row": (
        Edit(
            "replicas.Replicas._copy",
            "except NotFound:\n            return None",
            "except (NotFound, Unavailable):\n            return None",
        ),
        "buckets: the first is down, to read what the second has",
    ),
    "a bucket that is down is not one without the marker": (
        Edit(
            "replicas.Replicas._marked",
            "except NotFound:\n            return False",
            "except (NotFound, Unavailable):\n            return False",
        ),
        "buckets: the marker can't be asked for, to read",
    ),
    "a tombstone's name is marked": (
        Edit(
            "withdraw.tombstone",
            "await store.put(marker_of(row.name), encode(row), condition=IF_ABSENT)",
            "pass",
        ),
        "shredded unit: its row put back from an old version, to read",
    ),
    "nothing of a shredded key is left in its row": (
        Edit("withdraw._bury", "msgspec.structs.replace(blank, revision=row.revision + 1)", "None"),
        "shredded unit: its marker is gone, to read",
    ),
    "a place in the log is taken by one": (
        Edit("numbered_log.NumberedLog._take", "condition=IF_ABSENT", "condition=None"),
        "log: another entry in the second bucket's place",
    ),
}
