"""What a benchmark of policy finds in the archive at its end."""

import subprocess

import msgspec

from tests.system.fleet import COMMAND, Fleet

PROBED = tuple(f"probed{number}" for number in range(4))  # workspaces of the keys that are watched


class Event(msgspec.Struct):
    message_id: str = msgspec.field(name="messageId")


def archived(fleet: Fleet) -> set[int]:
    """The numbers of the probes that were accepted, as `strongroom read` gives them. None comes twice."""
    seen: set[int] = set()
    decode = msgspec.json.Decoder(Event).decode
    for workspace in PROBED:
        reading = subprocess.Popen(
            [COMMAND, "read", "--workspace", workspace, "--disposition", "accepted", "--unwrap"],
            env=fleet.environment(),
            stdout=subprocess.PIPE,
        )
        assert reading.stdout is not None
        for event in reading.stdout:
            number = int(decode(event).message_id[-12:], 16)
            assert number not in seen, f"record {number} is archived twice"
            seen.add(number)
        assert reading.wait() == 0
    return seen


def verified(fleet: Fleet, sent: int) -> list[str]:
    """What `verify` finds, and whether every record is in the ledger once."""
    report = fleet.json("verify")
    findings = [f"verify: {finding}" for finding in report["findings"][:5]]
    if report["offsets"] != sent:
        findings.append(f"{sent:,} records were sent, {report['offsets']:,} offsets are in the ledger")
    print(f"verify: {report['offsets']:,} offsets of {sent:,} sent; {report['records']}", flush=True)
    return findings
