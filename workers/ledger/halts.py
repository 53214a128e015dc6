"""Why a partition may stand still until a person acts. Each cause has its runbook in deploy/runbooks."""

from workers.errors import Fatal

# the metric's label, the alert's and the runbook's name
LOG_START_ABOVE_HEAD = "log_start_above_head"
HEAD_ABOVE_LOG_END = "head_above_log_end"
ANCHOR_DIFFERS = "anchor_differs"
TOPIC_RECREATED = "topic_recreated"
CHAIN_BROKEN = "chain_broken"
ENTRY_TAMPERED = "entry_tampered"
ENTRY_DELETED = "entry_deleted"
KEY_WITHDRAWN = "key_withdrawn"
REFUSED = "refused"

# those that a closing puts on record; the others end when what they name is mended
ACKNOWLEDGED = (
    ANCHOR_DIFFERS,
    CHAIN_BROKEN,
    ENTRY_TAMPERED,
    HEAD_ABOVE_LOG_END,
    LOG_START_ABOVE_HEAD,
    TOPIC_RECREATED,
)
CAUSES = tuple(sorted((*ACKNOWLEDGED, ENTRY_DELETED, KEY_WITHDRAWN, REFUSED)))


class Halted(Fatal):
    """One partition can't go on; the others do. `cause` is one of CAUSES."""

    def __init__(self, cause: str, message: str, *, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.cause = cause


def cause_of(error: Fatal) -> str:
    """`refused` for what Kafka or the keystore refuses: the error's own words say what."""
    return error.cause if isinstance(error, Halted) else REFUSED


def acknowledge(topic: str, partition: int) -> str:
    """The command that puts a loss on record and goes on."""
    return f"`strongroom ledger acknowledge --topic {topic} --partition {partition} --reason ...`"
