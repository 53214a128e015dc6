"""The weeks before: what the judge must have seen of the shop's own pages, for nobody can wait for them.

Stands in for three weeks of real traffic, and for nothing else: records of the shop's own pages that the
browser sent a moment ago are observed again under the clock of each hour that has passed, by the code that
archive workers observe with and the workspace's own hash key, and told to the topic as theirs of an earlier
`raw-events`.
"""

from collections.abc import Sequence

from topics import origin_observations
from topics.workspaces import Source, SourceType, Workspace
from workers import opening
from workers.intake.dispositions import Decision, Disposition
from workers.intake.facts import Account
from workers.intake.lines import Lines
from workers.intake.observing import HashKey, Span, observe
from workers.intake.samples import Group
from workers.origins.judge_state import DAY, HOUR
from workers.roles.observations import PURPOSE
from workers.roles.process import now
from workers.settings import Settings

DAYS = 22  # learning and the shadow period are 21
AN_HOUR = 2000  # records, each of `lines` stands for as many as the others


async def observed_before(settings: Settings, workspace: str, pattern: str, lines: Sequence[bytes]) -> int:
    """Returns how many observations were told. `lines` are envelopes."""
    known = Workspace(
        id=workspace,
        sources=(Source(id="web", type=SourceType.BROWSER),),
        allowed_origins=(pattern,),
        changed_at=1,
        shard=0,
        seq=1,
    )
    group = Group(foreign=False)
    group.kept, group.records = Lines(lines), AN_HOUR
    groups = {Decision(Disposition.ACCEPTED, "accepted", workspace, "web"): group}
    topic, begin, told = settings.topic_prefix + origin_observations.NAME, now() - DAYS * DAY, 0
    async with opening.open_keystore(settings) as keys, opening.open_publisher(settings) as publisher:
        hashed = HashKey(*await keys.derived(workspace, PURPOSE))
        for hour in range(DAYS * 24):
            at, start = begin + hour * HOUR, hour * AN_HOUR
            span = Span("raw-events", "earlier", 1, 0, start, start + AN_HOUR, at, at)
            for row in observe(span, groups, Account(known, "web"), hashed):
                await publisher.send(
                    topic, origin_observations.record_key(row), origin_observations.codec.encode(row)
                )
                told += 1
        await publisher.flush()
    return told
