"""How much memory an archive worker takes at most: by its settings and by how much policy there is.

Pure. The figures were measured (docs/performance.md, Many workspaces); `tests/memory` holds them against
100,000 workspaces and a whale.
"""

from pathlib import Path

from workers.ledger.flush import SEALING_THREADS
from workers.sealing.keystore import UNITS_MAX
from workers.settings import Settings

MIB = 1024 * 1024
LOADED = 160 * MIB  # the program, its connections, an idle group of buffers
A_KEY = 250  # of policy
A_WORKSPACE = 1_800
A_UNIT = 5_000  # that is sealed for: its key and its workspace's; a source has two around midnight
COPIES = 3  # of an object that is made: joined, compressed, sealed
UNEVEN = 1.15  # what malloc gives back late, of what is buffered
CONTROL_GROUPS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")
NO_LIMIT = 1 << 60  # version 1 says so
REMEDY = "Raise the container's limit, or lower STRONGROOM_BUFFER_BYTES_MAX and STRONGROOM_FLUSH_BYTES"


def bound(settings: Settings, keys: int, workspaces: int) -> int:
    """Bytes of resident memory, with so many keys and workspaces in the policy."""
    policy = keys * A_KEY + workspaces * A_WORKSPACE + min(2 * keys, UNITS_MAX) * A_UNIT
    buffers = int(settings.buffer_bytes_max * UNEVEN) + SEALING_THREADS * COPIES * settings.flush_bytes
    return LOADED + policy + buffers


def limit(root: Path = Path("/")) -> int | None:
    """What the container may take, by its control group (version 2 or 1). None: as much as there is."""
    for file in CONTROL_GROUPS:
        try:
            said = (root / file).read_text().strip()
        except OSError:
            continue
        if said.isdecimal() and int(said) < NO_LIMIT:
            return int(said)
    return None
