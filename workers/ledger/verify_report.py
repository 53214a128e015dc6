"""What an auditor reports: counts, findings by kind, and notes. Kinds are stable, for scripts."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec

KEPT = 10_000  # findings with their place and detail; beyond, they are counted by kind alone


class Kind(StrEnum):
    """What is wrong."""

    # the ledger: chains of entries
    STRANGE_KEY = "strange_key"
    MISSING_GENESIS = "missing_genesis"
    BROKEN_GENESIS = "broken_genesis"
    UNOPENED_INCARNATION = "unopened_incarnation"
    VANISHED_ENTRY = "vanished_entry"
    BROKEN_ENTRY = "broken_entry"
    UNKNOWN_FORMAT = "unknown_format"
    FOREIGN_ENTRY = "foreign_entry"
    NOT_CANONICAL = "not_canonical"
    GAP = "gap"
    OVERLAP = "overlap"
    FORK = "fork"
    BROKEN_LINK = "broken_link"
    ENTRY_AFTER_CLOSING = "entry_after_closing"
    MISCOUNT = "miscount"
    OVERWRITTEN_ENTRY = "overwritten_entry"
    DELETED_ENTRY = "deleted_entry"
    # checkpoints of them
    CUT_TAIL = "cut_tail"
    OTHER_THAN_CHECKPOINT = "other_than_checkpoint"
    FORGED_CHECKPOINT = "forged_checkpoint"
    # unit chains
    UNIT_HOLE = "unit_hole"
    FORGED_UNIT = "forged_unit"
    CONSUMED_TWICE = "consumed_twice"
    NEVER_LIVE = "never_live"
    # objects
    MISPLACED_OBJECT = "misplaced_object"
    LISTED_TWICE = "listed_twice"
    MISSING_OBJECT = "missing_object"
    OBJECT_SIZE = "object_size"
    OBJECT_DIGEST = "object_digest"
    NO_SEAL = "no_seal"
    FOREIGN_SEAL = "foreign_seal"
    WRONG_GENERATION = "wrong_generation"
    OVERWRITTEN_OBJECT = "overwritten_object"
    MISSING_CHAIN = "missing_chain"
    # what is inside objects (--deep)
    DOES_NOT_OPEN = "does_not_open"
    DOES_NOT_UNPACK = "does_not_unpack"
    PLAIN_BYTES = "plain_bytes"
    LINE_COUNT = "line_count"
    NOT_AN_ENVELOPE = "not_an_envelope"
    WRONG_WORKSPACE = "wrong_workspace"
    UNKNOWN_WRITE_KEY = "unknown_write_key"
    DEAD_LETTER = "dead_letter"
    # keys and the fleet
    MISSING_FLEET = "missing_fleet"
    BROKEN_FLEET = "broken_fleet"
    MISSING_KEY = "missing_key"
    BROKEN_KEY = "broken_key"
    # policy chains
    POLICY_HOLE = "policy_hole"
    BROKEN_POLICY = "broken_policy"
    BROKEN_POLICY_LINK = "broken_policy_link"
    FORGED_POLICY = "forged_policy"
    FORGED_FOLD = "forged_fold"
    # what retention keeps
    WRONG_INDEX = "wrong_index"
    UNCERTIFIED = "uncertified"
    WRONG_CERTIFICATE = "wrong_certificate"


class NoteKind(StrEnum):
    """What is worth knowing and no fault."""

    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"
    TOPIC_RECREATED = "topic_recreated"
    CLOCK_WENT_BACK = "clock_went_back"
    KEYS_UNREADABLE = "keys_unreadable"
    LEFT_OUT = "left_out"


MEANINGS: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.STRANGE_KEY: "A key in the ledger, unit chains, policy chains or data that Strongroom would not "
        "write.",
        Kind.MISSING_GENESIS: "A chain has entries and no genesis.",
        Kind.BROKEN_GENESIS: "A genesis can't be read, or is another chain's.",
        Kind.UNOPENED_INCARNATION: "A chain that only a closing could have opened, and none did.",
        Kind.VANISHED_ENTRY: "An entry was listed and is not there.",
        Kind.BROKEN_ENTRY: "An entry can't be read.",
        Kind.UNKNOWN_FORMAT: "An entry of a format that this version does not read.",
        Kind.FOREIGN_ENTRY: "An entry of another chain, or of another place, under this name.",
        Kind.NOT_CANONICAL: "An entry says what it should in other bytes than Strongroom would have written.",
        Kind.GAP: "Offsets before this entry are in no entry.",
        Kind.OVERLAP: "Offsets of this entry are in the one before it too.",
        Kind.FORK: "An entry follows, by its digest, the one before the one before it: two went on from one.",
        Kind.BROKEN_LINK: "An entry does not name the one before it by its digest: one was altered.",
        Kind.ENTRY_AFTER_CLOSING: "Something lies behind the closing of a chain.",
        Kind.MISCOUNT: "An entry's counts do not add up to its offsets, or to what it consumes, or to what "
        "its objects hold.",
        Kind.OVERWRITTEN_ENTRY: "An entry, of ledger, unit or policy, has older versions: it was written "
        "twice.",
        Kind.DELETED_ENTRY: "An entry, of ledger, unit or policy, has a delete marker: it was deleted.",
        Kind.CUT_TAIL: "A checkpoint names an entry that is gone: the chain's newest entries were cut off.",
        Kind.OTHER_THAN_CHECKPOINT: "An entry has other bytes than a checkpoint says, or those up to it hold "
        "other sums: the chain was written anew.",
        Kind.FORGED_CHECKPOINT: "A checkpoint that no trusted key has signed, or that is not one.",
        Kind.UNIT_HOLE: "An entry of a unit chain is missing: a later one, or an output, follows it.",
        Kind.FORGED_UNIT: "A unit entry that no program would have written.",
        Kind.CONSUMED_TWICE: "A unit entry consumes records that an earlier entry of its chain consumed.",
        Kind.NEVER_LIVE: "A unit entry consumes what was never live in its unit.",
        Kind.MISPLACED_OBJECT: "An entry lists an object whose name is not one that the entry gives it, or "
        "that lies where the entry puts nothing.",
        Kind.LISTED_TWICE: "An object is listed a second time, by the same entry or by another.",
        Kind.MISSING_OBJECT: "A listed object is not there, and no unit entry allows it to be absent.",
        Kind.OBJECT_SIZE: "An object is longer or shorter than what was archived.",
        Kind.OBJECT_DIGEST: "An object's bytes are not those that were archived.",
        Kind.NO_SEAL: "An object carries no sealing header, or none that can be read.",
        Kind.FOREIGN_SEAL: "An object was sealed as another: of another name, workspace, source, day, clock.",
        Kind.WRONG_GENERATION: "An object's data key, its entry and the unit's key row name different "
        "generations of the unit's key.",
        Kind.OVERWRITTEN_OBJECT: "An object has older versions: objects are written once.",
        Kind.MISSING_CHAIN: "There are objects of a chain of which the ledger holds nothing.",
        Kind.DOES_NOT_OPEN: "An object does not open under its unit's key.",
        Kind.DOES_NOT_UNPACK: "An opened object can't be decompressed, or does not end with a line.",
        Kind.PLAIN_BYTES: "An object's lines have other bytes in all than its entry says.",
        Kind.LINE_COUNT: "An object holds another number of records than its entry says.",
        Kind.NOT_AN_ENVELOPE: "A line is neither an envelope nor, where one is due, a dead letter.",
        Kind.WRONG_WORKSPACE: "A record's write key belongs to another workspace or source than its object.",
        Kind.UNKNOWN_WRITE_KEY: "A record of a workspace has a write key that no policy chain knows.",
        Kind.DEAD_LETTER: "A dead letter's offset is not of its entry or comes twice, or the reasons are not "
        "those that the entry counts.",
        Kind.MISSING_FLEET: "There is a ledger and no fleet.json.",
        Kind.BROKEN_FLEET: "fleet.json can't be read.",
        Kind.MISSING_KEY: "A unit has objects and no key row: nobody can open them.",
        Kind.BROKEN_KEY: "A key row can't be read, or its key does not open under the key above it.",
        Kind.POLICY_HOLE: "An entry of a policy chain is missing before this one.",
        Kind.BROKEN_POLICY: "An entry of a policy chain can't be read, or is another place's.",
        Kind.BROKEN_POLICY_LINK: "An entry of a policy chain does not name the one before it.",
        Kind.FORGED_POLICY: "A change of policy that no command would have made: from a state that did not "
        "stand, or to a forbidden one.",
        Kind.FORGED_FOLD: "A fold of a policy chain holds other values than the chain.",
        Kind.WRONG_INDEX: "Retention's copy of its index says something else than the ledger: `strongroom "
        "retention index --rebuild`.",
        Kind.UNCERTIFIED: "A dispose entry, or the end of a closed workspace, has had no certificate for 7 "
        "days: no retain worker runs, a bucket keeps what must go, or the entry was forged.",
        Kind.WRONG_CERTIFICATE: "A certificate that can't be read, that no dispose entry goes with, or that "
        "says something else than its entry or than what lists its objects, or although its key (in any "
        "bucket or version) or an object is still there; of a closed workspace, one that says something else "
        "than the workspace's certificates.",
    }
)

NOTES: Mapping[NoteKind, str] = MappingProxyType(
    {
        NoteKind.ACKNOWLEDGED: "Something is wrong, and an operator put it on record: the closing names it.",
        NoteKind.CLOSED: "A chain was closed; how many offsets are lost stands in the report.",
        NoteKind.TOPIC_RECREATED: "Two topics of one name have open chains of one partition.",
        NoteKind.CLOCK_WENT_BACK: "By its writer's clock, an entry was committed before the one before it.",
        NoteKind.KEYS_UNREADABLE: "The keystore could not be read: key rows were not checked.",
        NoteKind.LEFT_OUT: "With `--from-checkpoint` it was not compared with the ledger: that needs entries "
        "before the checkpoints, which are not read.",
    }
)


class Finding(msgspec.Struct, frozen=True):
    """`where` is a key in a bucket."""

    kind: str
    where: str
    detail: str


class Report(msgspec.Struct):
    """Counts of what was read and what is wrong. Memory: KEPT findings at most, however many there are."""

    chains: int = 0
    entries: int = 0
    closings: int = 0
    offsets: int = 0
    checkpoints: int = 0  # that were held against the chains
    vouched_chains: int = 0  # read from a checkpoint on; what lies before it, its signature vouches for
    vouched_entries: int = 0  # before those checkpoints: not read
    vouched_offsets: int = 0
    lost: int = 0  # offsets that closings say are archived nowhere
    lost_unknown: int = 0  # closings of which nobody can know how many
    records: dict[str, int] = msgspec.field(default_factory=dict)  # by disposition
    objects: int = 0  # that entries list, and that are there
    stored_bytes: int = 0
    plain_bytes: int = 0
    opened: int = 0  # objects
    lines: int = 0  # records that were counted in them
    withdrawn: int = 0  # objects whose unit's key was disabled or shredded: they can't be opened
    gone: int = 0  # objects that are absent with leave of their unit's chain
    unit_chains: int = 0
    unit_entries: int = 0
    consumed: int = 0  # records that unit entries consumed
    became: dict[str, int] = msgspec.field(default_factory=dict)  # what those became
    policy_entries: int = 0
    orphans: int = 0  # objects that no entry lists: left by a crash or still being written; never read
    beyond_head: int = 0  # of these, as many lie at or behind the head of their chain
    kinds: dict[str, int] = msgspec.field(default_factory=dict)  # findings by kind: all of them
    findings: list[Finding] = msgspec.field(default_factory=list)
    notes: list[Finding] = msgspec.field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.kinds

    @property
    def found_in_all(self) -> int:
        return sum(self.kinds.values())

    def found(self, kind: Kind, where: str, detail: str) -> None:
        self._keep(Finding(str(kind), where, detail))

    def note(self, kind: NoteKind, where: str, detail: str) -> None:
        if len(self.notes) < KEPT:
            self.notes.append(Finding(str(kind), where, detail))

    def count(self, disposition: str, records: int) -> None:
        self.records[disposition] = self.records.get(disposition, 0) + records

    def turn(self, became: str, records: int) -> None:
        """So many records were consumed and became that."""
        self.consumed += records
        self.became[became] = self.became.get(became, 0) + records

    def add(self, part: "Report") -> None:
        """Takes in what another report says of other things."""
        for name in COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(part, name))
        for disposition, records in part.records.items():
            self.count(disposition, records)
        for became, records in part.became.items():
            self.became[became] = self.became.get(became, 0) + records
        for finding in part.findings:
            self._keep(finding)
        for kind, count in part.kinds.items():  # those that it counted and did not keep
            kept = sum(finding.kind == kind for finding in part.findings) if count else 0
            if count > kept:
                self.kinds[kind] = self.kinds.get(kind, 0) + count - kept
        self.notes += part.notes[: KEPT - len(self.notes)]

    def acknowledge(self, closing: str) -> None:
        """Turns all findings into notes: the closing at the key `closing` named what they are about."""
        for finding in self.findings:
            self.note(
                NoteKind.ACKNOWLEDGED, finding.where, f"{finding.kind}: {finding.detail}; named by {closing}"
            )
        self.findings.clear()
        self.kinds.clear()

    def _keep(self, finding: Finding) -> None:
        self.kinds[finding.kind] = self.kinds.get(finding.kind, 0) + 1
        if len(self.findings) < KEPT:
            self.findings.append(finding)


COUNTERS = tuple(field.name for field in msgspec.structs.fields(Report) if field.type is int)
