"""Every metric, declared once: name, type, unit, labels and the values that these may have.

Base units; updated per batch, never per record. docs/metrics.md is made from this file.
"""

from topics import origin_verdicts, workspaces, write_keys
from topics.origin_verdicts import VerdictKind
from workers.intake.dispositions import Disposition
from workers.intake.policy import KEPT_OUT
from workers.intake.rules import REASONS
from workers.keyservice.refusal import Outcome
from workers.ledger import halts
from workers.ledger.orphans import Kind
from workers.ledger.unit_entries import Became
from workers.observe import declaring
from workers.observe.declaring import counter, counters, gauge, gauges, histogram, histograms
from workers.origins.brakes import BRAKES
from workers.retention.dispose import Outcome as Disposal
from workers.retention.due import Unusable
from workers.retention.erase import Cause
from workers.store.port import OPERATIONS

# whoever takes them from here has all that is declared below
REGISTRY, DECLARED = declaring.REGISTRY, declaring.DECLARED

DISPOSITIONS = tuple(sorted(disposition.value for disposition in Disposition))
POLICY_TOPICS = (write_keys.NAME, workspaces.NAME, origin_verdicts.NAME)
# declared holds: nothing moves, and nothing is wrong with this worker; the first three are a store's answers
HOLD_CAUSES = ("conflict", "denied", "unavailable", "policy_stale", "kafka_silent")
# -- records ---------------------------------------------------------------------------------------

RECORDS_IN = counter(
    "strongroom_records_in_total",
    "records",
    "Records taken from Kafka, those taken again after a drop included.",
)
RECORDS = counters(
    "strongroom_records_total",
    "records",
    "Records committed to the ledger, by what became of them and the rule that said so. A commit that was "
    "sent when its partition went to another worker may land, in no worker's count: the ledger is exact.",
    disposition=DISPOSITIONS,
    reason=tuple(sorted((*REASONS, "gap", "lost"))),
)
RECORDS_DROPPED = counter(
    "strongroom_records_dropped_total",
    "records",
    "Records of batches given up before their commit was known; the next owner takes what did not land. "
    "Records in = records without gaps + buffered + dropped.",
)
BYTES_IN = counter("strongroom_in_bytes_total", "bytes", "Bytes of record values taken from Kafka.")
PLAIN_BYTES = counter("strongroom_plain_bytes_total", "bytes", "Committed bytes before compression.")
STORED_BYTES = counter("strongroom_stored_bytes_total", "bytes", "Committed bytes of sealed objects.")
OBJECTS = counter("strongroom_objects_total", "objects", "Sealed objects committed.")
STORE_REQUESTS = counters(
    "strongroom_store_requests_total",
    "requests",
    "Requests to S3, those that failed included: what S3 charges for.",
    operation=OPERATIONS,
)

REJECTIONS_DROPPED = counter(
    "strongroom_rejections_dropped_total",
    "rows",
    "Rows for the topic `rejections` that were given up: Kafka was away for too long, or refused them.",
)

OBSERVATIONS = counter(
    "strongroom_observations_total",
    "rows",
    "Rows for the topic `origin-observations` that Kafka has taken.",
)
OBSERVATIONS_DROPPED = counter(
    "strongroom_observations_dropped_total",
    "rows",
    "Rows for the topic `origin-observations` that were given up, or spans of a source's records, or of a "
    "partition's: Kafka or the keystore was away, or refused them, or too much waited. Nothing else is lost.",
)

# -- the ledger ------------------------------------------------------------------------------------

COMMITS = counter("strongroom_ledger_commits_total", "entries", "Ledger entries written.")
FENCED = counter(
    "strongroom_ledger_fenced_total",
    "entries",
    "Commits that found another worker's entry in their place; the batch was dropped.",
)
FLUSH_SECONDS = histogram(
    "strongroom_flush_seconds",
    "seconds",
    "From the end of a batch to its commit.",
    (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
OLDEST_SECONDS = gauge(
    "strongroom_oldest_unarchived_seconds",
    "seconds",
    "Age of the oldest record that this worker holds and the ledger does not: the lag that matters.",
)
HALTS = counters(
    "strongroom_halts_total",
    "partitions",
    "Partitions that were halted until a person acts (log line `partition_halted`).",
    cause=halts.CAUSES,
)

# -- the steward ------------------------------------------------------------------------------------

SWEEP_OBJECTS = gauges(
    "strongroom_sweep_objects",
    "objects",
    "Objects as the last pass found them. `strange`, `foreign` and `unproven` are kept, and want a look.",
    kind=tuple(Kind),
)
SWEEP_BYTES = gauges("strongroom_sweep_bytes", "bytes", "Stored bytes of these objects.", kind=tuple(Kind))
SWEEP_DUE = gauge("strongroom_sweep_due", "objects", "Orphans of the last pass that were old enough to go.")
SWEEP_BRAKED = gauge(
    "strongroom_sweep_braked", "passes", "1 if the last pass found too many orphans to delete any."
)
SWEEP_SECONDS = gauge("strongroom_sweep_seconds", "seconds", "How long the last pass took.")
SWEEP_ENDED = gauge("strongroom_sweep_ended_seconds", "seconds", "End of the last pass, since the epoch.")
ORPHANS_SWEPT = counter("strongroom_orphans_swept_total", "objects", "Orphans deleted.")
ORPHANS_SWEPT_BYTES = counter("strongroom_orphans_swept_bytes_total", "bytes", "Stored bytes of these.")
ORPHANS_REFUSED = counter(
    "strongroom_orphans_refused_total", "objects", "Orphans that the store did not delete when asked to."
)

CHECKPOINTS = counter("strongroom_checkpoints_total", "checkpoints", "Checkpoints of the ledger written.")
CHECKPOINTS_REFUSED = gauge(
    "strongroom_checkpoints_refused",
    "chains",
    "Chains that got none in the last pass: broken, or what a checkpoint names is gone. Run `verify`.",
)
CHECKPOINTS_FORGED = gauge(
    "strongroom_checkpoints_forged",
    "checkpoints",
    "Checkpoints met by the last pass that no trusted key has signed.",
)
CHECKPOINTS_UNTOLD = gauge(
    "strongroom_checkpoints_untold", "checkpoints", "Newest checkpoints that the audit topic has not got yet."
)
CHECKPOINTS_ENDED = gauge(
    "strongroom_checkpoints_ended_seconds", "seconds", "End of the last pass of checkpoints, since the epoch."
)

# -- the retain worker -------------------------------------------------------------------------------

RETENTION_UNITS = gauges(
    "strongroom_retention_units",
    "units",
    "Units by the last plan: due, waiting for an approval, between disabled and certified, kept by a bucket "
    "although they must go, kept by a legal hold.",
    state=("due", "braked", "under_way", "stuck", "held"),
)
RETENTION_DUE_BYTES = gauge("strongroom_retention_due_bytes", "bytes", "Stored bytes of the units due.")
RETENTION_OVERDUE_SECONDS = gauge(
    "strongroom_retention_overdue_seconds",
    "seconds",
    "For how long the oldest unit that is due has been so. Beyond two days: find out why.",
)
RETENTION_STEPS = counters(
    "strongroom_retention_steps_total",
    "steps",
    "Steps taken with units, by where these left the unit.",
    outcome=tuple(Disposal),
)
RETENTION_DISPOSALS = counter(
    "strongroom_retention_disposals_total", "disposals", "Disposals that were certified."
)
RETENTION_DISPOSED_BYTES = counter(
    "strongroom_retention_disposed_bytes_total", "bytes", "Stored bytes of what was disposed of."
)
RETENTION_CLOSINGS = counter(
    "strongroom_retention_closings_total",
    "workspaces",
    "Closed workspaces whose own key was destroyed, and of which the closing certificate was written.",
)
RETENTION_FAILURES = counters(
    "strongroom_retention_failures_total",
    "attempts",
    "Steps that failed. `object_lock` and `denied` want a person, `broken` wants `strongroom verify`.",
    cause=("broken", *Cause),
)
RETENTION_BRAKES = gauge(
    "strongroom_retention_brakes",
    "scopes",
    "Workspaces, or the fleet, of which so much is due at once that it waits for an approval. Page for it.",
)
RETENTION_POLICY_UNUSABLE = gauges(
    "strongroom_retention_policy_unusable",
    "policies",
    "1 while nothing is deleted because the copy of policy can't be trusted. Alert on it.",
    cause=tuple(Unusable),
)
RETENTION_PLAN_SECONDS = gauge("strongroom_retention_plan_seconds", "seconds", "How long the last plan took.")
RETENTION_PLAN_ENDED = gauge(
    "strongroom_retention_plan_ended_seconds", "seconds", "End of the last plan, since the epoch."
)

# -- the steward's replay ----------------------------------------------------------------------------

UNCLAIMED_OBJECTS = gauge(
    "strongroom_unclaimed_objects",
    "objects",
    "Objects with records of unknown write keys that wait, as the last pass of the replay left them.",
)
UNCLAIMED_RECORDS = gauge("strongroom_unclaimed_records", "records", "Records in these.")
UNCLAIMED_BYTES = gauge("strongroom_unclaimed_bytes", "bytes", "Plain bytes of these objects.")
REPLAY_DUE = gauge(
    "strongroom_replay_due",
    "objects",
    "Objects whose records of known keys the last pass could not replay: it tries again.",
)
REPLAY_BROKEN = gauge(
    "strongroom_replay_broken",
    "objects",
    "Objects and units that the last pass could not read (log line `replay_broken`).",
)
REPLAY_ENDED = gauge(
    "strongroom_replay_ended_seconds", "seconds", "End of the last pass of the replay, since the epoch."
)
REPLAY_FAILED = counter(
    "strongroom_replay_failed_total", "records", "Records that a rule failed on: they stay unclaimed."
)
REPLAYED = counters(
    "strongroom_replayed_records_total",
    "records",
    "Unclaimed records whose write key became known, by what became of them.",
    disposition=tuple(Became),
    reason=tuple(sorted(REASONS)),
)

# -- the judge -----------------------------------------------------------------------------------------

JUDGE_KEYS = gauge("strongroom_judge_keys", "keys", "Write keys of which this judge knows something.")
JUDGE_HOSTS = gauge("strongroom_judge_hosts", "hosts", "Foreign hosts of these that it remembers.")
JUDGE_OBSERVATIONS = counters(
    "strongroom_judge_observations_total",
    "observations",
    "Observations taken, by whether they brought something new. `unreadable` are passed over: see who writes "
    "to the topic.",
    outcome=("folded", "repeated", "unreadable"),
)
JUDGE_VERDICTS = counters(
    "strongroom_judge_verdicts_total",
    "verdicts",
    "Verdicts put on record, those said again after a restart included.",
    kind=(VerdictKind.SUSPECT.value, VerdictKind.COPY.value),
)
JUDGE_BRAKED = counters(
    "strongroom_judge_braked_total",
    "verdicts",
    "Verdicts that a brake began to hold back. Page for it: it smells of a customer's move to a new domain.",
    brake=BRAKES,
)
JUDGE_SNAPSHOT_BYTES = gauge(
    "strongroom_judge_snapshot_bytes", "bytes", "Stored bytes of the newest snapshot of a partition."
)
JUDGE_SNAPSHOT_ENDED = gauge(
    "strongroom_judge_snapshot_ended_seconds", "seconds", "When it was stored, since the epoch."
)

# -- the key service --------------------------------------------------------------------------------

KEY_SERVICE_CALLS = counters(
    "strongroom_key_service_calls_total",
    "calls",
    "Calls answered, by what became of them; each has an audit line (`key_service_call`).",
    outcome=tuple(Outcome),
)
KEY_SERVICE_SECONDS = histogram(
    "strongroom_key_service_seconds",
    "seconds",
    "From a call's headers to its answer.",
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
KEY_SERVICE_TURNED_AWAY = counter(
    "strongroom_key_service_turned_away_total",
    "connections",
    "Connections closed at once, for there were STRONGROOM_KEYSERVICE_CONNECTIONS.",
)

# -- the worker ------------------------------------------------------------------------------------

BUFFERED_BYTES = gauge("strongroom_buffered_bytes", "bytes", "Plain bytes that wait for their commit.")
BUFFERED_RECORDS = gauge("strongroom_buffered_records", "records", "Records that wait for their commit.")
PARTITIONS = gauges(
    "strongroom_partitions", "partitions", "Partitions of this worker.", state=("owned", "halted")
)
LAG_RECORDS = gauge(
    "strongroom_lag_records",
    "records",
    "Offsets between this worker's position and the end of its partitions; a few may be markers.",
)
HOLDING = gauges("strongroom_holding", "holds", "Declared holds in force.", cause=HOLD_CAUSES)
HOLD_SECONDS = counters("strongroom_hold_seconds_total", "seconds", "Time spent in holds.", cause=HOLD_CAUSES)
HOLDS = counters(
    "strongroom_holds_total",
    "attempts",
    "Attempts that had to be put off: answers of a store or keystore, a policy copy too old to decide on.",
    cause=HOLD_CAUSES,
)
LOOP_LAG_SECONDS = gauge(
    "strongroom_loop_lag_seconds", "seconds", "How late the event loop woke up at the last look."
)

# -- policy ----------------------------------------------------------------------------------------

POLICY_AGE_SECONDS = gauges(
    "strongroom_policy_age_seconds",
    "seconds",
    "Since the copy of a policy topic was last known to be whole.",
    topic=POLICY_TOPICS,
)
POLICY_DELAY_SECONDS = histograms(
    "strongroom_policy_delay_seconds",
    "seconds",
    "From the time in a policy record, at which its publisher handed it to Kafka, until it was applied here: "
    "all later decisions are by it. Records that were there when the copy was loaded do not count.",
    (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60),
    topic=POLICY_TOPICS,
)
POLICY_UNPUBLISHED = gauges(
    "strongroom_policy_unpublished",
    "shards",
    "Shards with changes in the bucket that a command left unpublished, as the steward last saw them.",
    topic=POLICY_TOPICS,
)
POLICY_MENDED = counters(
    "strongroom_policy_mended_total",
    "records",
    "Values that the steward published in place of a command that had died.",
    topic=POLICY_TOPICS,
)
POLICY_KEPT_OUT = counters(
    "strongroom_policy_kept_out_total",
    "records",
    "Records of a policy topic that were not taken: unreadable, a tombstone, or a way out of a final state.",
    topic=POLICY_TOPICS,
    cause=tuple(sorted(KEPT_OUT)),
)
POLICY_VERSION = gauges(
    "strongroom_policy_version",
    "offsets",
    "Offsets applied of a policy topic, summed over its partitions: equal on workers that know the same.",
    topic=POLICY_TOPICS,
)
