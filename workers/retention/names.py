"""The names of what the retain role keeps in the ledger's bucket (docs/format.md). They never change."""

import re
from typing import NamedTuple

from workers.errors import Poison
from workers.intake.dispositions import Clock
from workers.sealing.keys import Unit, checked_unit

PENDING = "retention/v1/pending/"
APPROVALS = "retention/v1/approvals/"
CLOSINGS = "retention/v1/closing/"
INDEX = "retention/v1/index/units.msgpack.zst"
CERTIFICATES = "certificates/v1/"
UNIT = r"ws=([^/]+)/src=([^/]+)/day=([^/]+)/clock=([a-z]+)"
PENDING_NAME = re.compile(rf"{PENDING}{UNIT}\.json\Z", re.ASCII)
CLOSING_NAME = re.compile(rf"{CLOSINGS}ws=([\w-]+)\.json\Z", re.ASCII)
CLOSING_CERTIFICATE_NAME = re.compile(rf"{CERTIFICATES}ws=([\w-]+)/closing\.json\Z", re.ASCII)
CERTIFICATE_NAME = re.compile(rf"{CERTIFICATES}{UNIT}/(\d{{8}})\.json\Z", re.ASCII)


class CertificatePlace(NamedTuple):
    """Of the dispose entry `seq` of the unit's chain."""

    unit: Unit
    seq: int


def pending(unit: Unit) -> str:
    return f"{PENDING}{_path(unit)}.json"


def pending_of(workspace: str) -> str:
    """What the names of a workspace's begin with."""
    return f"{PENDING}ws={workspace}/"


def pending_unit(key: str) -> Unit | None:
    """None for a name that nothing has."""
    match = PENDING_NAME.match(key)
    return None if match is None else _unit(match.groups())


def certificates_of(unit: Unit) -> str:
    """What the names of a unit's begin with."""
    return f"{CERTIFICATES}{_path(unit)}/"


def certificates_of_workspace(workspace: str) -> str:
    return f"{CERTIFICATES}ws={workspace}/"


def certificate(unit: Unit, seq: int) -> str:
    return f"{certificates_of(unit)}{seq:08d}.json"


def certificate_place(key: str) -> CertificatePlace | None:
    """None for a name that no certificate has."""
    match = CERTIFICATE_NAME.match(key)
    unit = None if match is None else _unit(match.groups()[:4])
    return None if match is None or unit is None else CertificatePlace(unit, int(match[5]))


def closing(workspace: str) -> str:
    return f"{CLOSINGS}ws={workspace}.json"


def closing_workspace(key: str) -> str | None:
    """None for a name that nothing has."""
    match = CLOSING_NAME.match(key)
    return None if match is None else match[1]


def closing_certificate(workspace: str) -> str:
    return f"{certificates_of_workspace(workspace)}closing.json"


def closing_certificate_workspace(key: str) -> str | None:
    """None for a name that no closing certificate has."""
    match = CLOSING_CERTIFICATE_NAME.match(key)
    return None if match is None else match[1]


def approval(scope: str) -> str:
    """`scope`: a workspace, or plan.FLEET."""
    return f"{APPROVALS}{scope}.json"


def _path(unit: Unit) -> str:
    return f"ws={unit.workspace}/src={unit.source}/day={unit.day}/clock={unit.clock}"


def _unit(parts: tuple[str, ...]) -> Unit | None:
    workspace, source, day, clock = parts
    try:
        return checked_unit(Unit(workspace, source, day, Clock(clock)))
    except (Poison, ValueError):
        return None
