"""What policy chains promise over any store, real or in memory."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import pytest

from tests.contract.policy.world import NOW, Spot, Topics, by, impatient, neighbours, set_up, writer
from topics.origin_verdicts import OriginVerdict, VerdictKind, subject
from topics.write_keys import KeyState, WriteKey
from workers.by import By
from workers.errors import Retryable
from workers.intake.key_states import Refused
from workers.ledger.policy_book import Unpublished
from workers.ledger.policy_commands import Books, abuse_key, add_key, new_key, revoke_key, rotate_key
from workers.ledger.policy_entries import SHARDS, entry_name, published_name, shard_of
from workers.ledger.policy_marks import PolicyMarks
from workers.ledger.verdict_commands import Judged, append_verdict, append_verdicts, confirm_verdicts
from workers.store.port import Store

DAY_MS = 86_400_000

End = Callable[[Books, str, By], Awaitable[WriteKey]]

COPY = Judged("k1", "acme", "copy.example", VerdictKind.COPY, {"content": 0.84})
SUSPECT = COPY._replace(kind=VerdictKind.SUSPECT)


async def told(store: Store, topics: Topics, kind: VerdictKind) -> dict[str, OriginVerdict]:
    """The customer's word on COPY's host, from a process of its own."""
    books = writer(store, topics, impatient())
    return await confirm_verdicts(books.verdicts, "acme", ["k1"], "copy.example", kind, by("they rang"))


async def revoked(store: Store, topics: Topics, key: str, after: float) -> WriteKey:
    """`after` some seconds: a rotation makes its new key first."""
    await asyncio.sleep(after)
    return await revoke_key(writer(store, topics, impatient()), key, by("leaked"))


class PolicyContract:
    """Subclasses give the fixture `store`."""

    races = 5

    async def test_what_one_process_writes_another_reads_and_workers_learn(self, store: Store) -> None:
        topics = Topics()
        books = writer(store, topics)
        await set_up(books)
        added = await add_key(books, "k1", "acme", "web", by("launch"))
        assert (added.state, added.shard, added.seq, added.changed_at) == ("active", shard_of("k1"), 1, NOW)
        assert await writer(store, topics).keys.chain.get("k1") == added
        assert topics.followed() == {"k1": added}
        assert topics.compacted("workspaces")["acme"]["sources"][0]["id"] == "web"

    async def test_each_change_is_an_entry_that_names_the_one_before(self, store: Store) -> None:
        books = writer(store, Topics())
        await set_up(books)
        first, second = neighbours(2)
        await add_key(books, first, "acme", "web", by("one", NOW))
        await add_key(writer(store, Topics()), second, "acme", "web", by("two", NOW + 1))
        await revoke_key(books, first, by("three", NOW + 2))
        entries = [json.loads((await store.get(entry_name("write-keys", 7, seq))).body) for seq in (1, 2, 3)]
        assert [entry["previous"] is None for entry in entries] == [True, False, False]
        assert [(entry["changes"][0]["key"], entry["changes"][0]["why"]) for entry in entries] == [
            (first, "one"),
            (second, "two"),
            (first, "three"),
        ]
        revoked = entries[2]["changes"][0]
        assert (revoked["from"]["state"], revoked["to"]["state"]) == ("active", "revoked")
        assert (revoked["who"], revoked["host"], revoked["when"]) == ("ann@desk", "desk", NOW + 2)
        assert (await books.keys.chain.replay(7))[1] == []

    async def test_rotation_makes_the_new_key_active_and_lets_the_old_one_end(self, store: Store) -> None:
        topics = Topics()
        books = writer(store, topics)
        await set_up(books)
        await add_key(books, "old", "acme", "web", by())
        rotated = await rotate_key(books, "old", "new", 7 * DAY_MS, by("yearly"))
        assert (rotated.old.state, rotated.old.until) == ("retiring", NOW + 7 * DAY_MS)
        assert (rotated.new.state, rotated.new.workspace, rotated.new.source) == ("active", "acme", "web")
        assert topics.followed() == {"old": rotated.old, "new": rotated.new}
        assert await rotate_key(books, "old", "new", 7 * DAY_MS, by("yearly")) == rotated
        with pytest.raises(Refused, match="old is retiring"):
            await rotate_key(books, "old", "another", 7 * DAY_MS, by("yearly"))
        assert await books.keys.chain.get("another") is None

    async def test_a_rotation_that_died_half_way_goes_on_with_the_key_it_made(self, store: Store) -> None:
        topics = Topics()
        books = writer(store, topics)
        await set_up(books)
        await add_key(books, "old", "acme", "web", by())

        class Dies(Topics):
            async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> Spot:
                raise Retryable("no brokers", remedy="start them")

        with pytest.raises(Unpublished):
            await rotate_key(writer(store, Dies()), "old", None, DAY_MS, by("yearly"))
        rotated = await rotate_key(books, "old", None, DAY_MS, by("again"))
        assert set(topics.followed()) == {"old", rotated.new.key} == set(await books.keys.chain.everything())
        assert (rotated.old.state, rotated.new.state, len(rotated.new.key)) == ("retiring", "active", 32)
        with pytest.raises(Refused, match="old is retiring"):
            await rotate_key(books, "old", None, DAY_MS, by("again"))
        assert set(await books.keys.chain.everything()) == {"old", rotated.new.key}

    async def test_a_rotation_makes_another_key_where_the_one_that_a_dead_rotation_made_has_ended(
        self, store: Store
    ) -> None:
        topics = Topics()
        books = writer(store, topics)
        await set_up(books)
        await add_key(books, "old", "acme", "web", by())
        topics.down = Retryable("no brokers", remedy="start them")
        with pytest.raises(Unpublished):
            await rotate_key(books, "old", None, DAY_MS, by())
        topics.down = None
        [made] = set(await books.keys.chain.everything()) - {"old"}
        await revoke_key(books, made, by("nobody uses it"))
        rotated = await rotate_key(books, "old", None, DAY_MS, by())
        assert (rotated.new.state, rotated.old.state) == ("active", "retiring")
        assert rotated.new.key != made

    @pytest.mark.parametrize(("command", "other"), [(revoke_key, abuse_key), (abuse_key, revoke_key)])
    async def test_an_ended_key_stays_ended(self, store: Store, command: End, other: End) -> None:
        topics = Topics()
        books = writer(store, topics)
        await set_up(books)
        await add_key(books, "k1", "acme", "web", by())
        ended = await command(books, "k1", by("leaked"))
        assert await command(writer(store, topics), "k1", by("again")) == ended
        for refused in (
            add_key(books, "k1", "acme", "web", by()),
            rotate_key(books, "k1", "k2", 0, by()),
            other(books, "k1", by("other")),
        ):
            with pytest.raises(Refused, match=r"k1 is (revoked|abused)"):
                await refused
        assert topics.followed()["k1"] == ended
        assert topics.compacted("write-keys")["k1"]["reason"] == "leaked"

    async def test_racing_writers_lose_no_change(self, store: Store) -> None:
        topics = Topics()
        await set_up(writer(store, topics))
        keys = [*neighbours(12), *(new_key() for _ in range(4))]
        books = [writer(store, topics, impatient()) for _ in keys]
        await asyncio.gather(
            *(add_key(each, key, "acme", "web", by()) for each, key in zip(books, keys, strict=True))
        )
        standing = await writer(store, topics).keys.chain.everything()
        assert set(standing) == set(topics.followed()) == set(keys)
        assert sorted(standing[key].seq for key in neighbours(12)) == list(range(1, 13))

    async def test_a_rotation_never_undoes_a_revocation(self, store: Store) -> None:
        topics = Topics()
        await set_up(writer(store, topics))
        for attempt in range(self.races):
            key = f"old-{attempt}"
            await add_key(writer(store, topics), key, "acme", "web", by())
            revocation, rotation = await asyncio.gather(
                revoked(store, topics, key, after=attempt % 6 * 0.005),
                rotate_key(writer(store, topics, impatient()), key, f"new-{attempt}", DAY_MS, by()),
                return_exceptions=True,
            )
            assert not isinstance(revocation, BaseException)
            if isinstance(rotation, BaseException):
                assert isinstance(rotation, Refused)
                assert "Revoked is final" in rotation.remedy
            standing = await writer(store, topics).keys.chain.get(key)
            assert standing is not None
            assert standing.state is KeyState.REVOKED
            assert topics.compacted("write-keys")[key]["state"] == "revoked"

    async def test_many_changes_of_a_shard_are_one_entry(self, store: Store) -> None:
        topics = Topics()
        books = writer(store, topics)
        await set_up(books)
        first = await add_key(books, neighbours(1)[0], "acme", "web", by())
        more = neighbours(40)[1:]
        values = {key: msgspec.structs.replace(first, key=key) for key in more}
        written = await books.keys.change(
            {key: partial(lambda value, before: value, value) for key, value in values.items()}, by("import")
        )
        assert {value.seq for value in written.values()} == {2}
        assert set(topics.followed()) == {first.key, *more}
        assert set((await writer(store, topics).keys.chain.fold(7)).states) == {first.key, *more}

    async def test_a_new_kafka_gets_everything_again(self, store: Store) -> None:
        lost = Topics()
        books = writer(store, lost)
        await set_up(books)
        keys = [*neighbours(3), *(new_key() for _ in range(5))]
        for key in keys:
            await add_key(books, key, "acme", "web", by())
        await revoke_key(books, keys[0], by("leaked"))
        new = Topics()
        fresh = writer(store, new)
        assert await fresh.keys.publish_all() == (len(keys), [])
        assert await fresh.workspaces.publish_all() == (1, [])
        assert new.followed() == lost.followed() == await fresh.keys.chain.everything()
        assert new.compacted("write-keys")[keys[0]]["state"] == "revoked"
        assert new.compacted("workspaces") == lost.compacted("workspaces")
        assert await fresh.keys.publish_missing(range(SHARDS)) == 0

    async def test_publishing_everything_tells_the_audit_topic_what_a_dead_command_could_not(
        self, store: Store
    ) -> None:
        topics = Topics()
        books = writer(store, topics)
        await set_up(books)
        await add_key(books, "k1", "acme", "web", by("launch"))
        topics.down = Retryable("no brokers", remedy="start them")
        with pytest.raises(Unpublished):
            await revoke_key(books, "k1", by("leaked"))
        topics.down = None
        for _ in range(2):
            assert await writer(store, topics).keys.publish_all() == (1, [])
        told = [line["why"] for line in topics.audit() if line["subject"] == "k1"]
        assert told == ["launch", "leaked"]

    async def test_a_look_finds_what_the_look_before_saw_unpublished_and_marks_that_went_back(
        self, store: Store
    ) -> None:
        topics = Topics()
        books = writer(store, topics)
        await set_up(books)
        first, second = neighbours(2)
        marks = PolicyMarks(books.keys.chain.shards)
        await add_key(books, first, "acme", "web", by())
        name = published_name("write-keys", 7)
        old = (await store.get(name)).body
        assert (await marks.look()).overdue == []
        topics.down = Retryable("no brokers", remedy="start them")
        with pytest.raises(Unpublished):
            await add_key(books, second, "acme", "web", by())
        assert [(await marks.look()).overdue for _ in range(3)] == [[], [7], [7]]
        topics.down = None
        await books.keys.publish_missing([7])
        assert (await marks.look()).overdue == []
        await store.put(name, old)
        assert (await marks.look()).overdue == [7]

    async def test_a_verdict_grows_stronger_and_then_is_the_customers(self, store: Store) -> None:
        topics = Topics()
        judge = writer(store, topics).verdicts
        assert (await append_verdict(judge, SUSPECT, by("foreign pages"))).kind == "suspect"
        copy = await append_verdict(judge, COPY, by("foreign pages"))
        assert (copy.kind, copy.confirmed, copy.evidence) == ("copy", False, {"content": 0.84})
        assert await append_verdict(judge, COPY._replace(evidence={}), by("again")) == copy
        assert await append_verdict(judge, SUSPECT, by("again")) == copy
        blocked = (await told(store, topics, VerdictKind.HOSTILE))["k1 copy.example"]
        assert (blocked.kind, blocked.confirmed, blocked.evidence) == ("hostile", True, {"content": 0.84})
        assert await told(store, topics, VerdictKind.HOSTILE) == {"k1 copy.example": blocked}
        approved = (await told(store, topics, VerdictKind.BENIGN))["k1 copy.example"]
        for judged in (SUSPECT, COPY):
            assert await append_verdict(judge, judged, by()) == approved
        assert approved.seq == 4
        assert topics.compacted("origin-verdicts")["k1 copy.example"]["kind"] == "benign"
        assert [(line["action"], line["why"]) for line in topics.audit()] == [
            ("origin-verdicts.suspect", "foreign pages"),
            ("origin-verdicts.copy", "foreign pages"),
            ("origin-verdicts.hostile", "they rang"),
            ("origin-verdicts.benign", "they rang"),
        ]

    async def test_a_rotation_takes_the_verdicts_along_before_the_new_key_is_active(
        self, store: Store
    ) -> None:
        topics = Topics()
        books = writer(store, topics)
        await set_up(books)
        for key in ("k1", "other"):
            await add_key(books, key, "acme", "web", by())
        await append_verdicts(
            books.verdicts,
            [
                COPY,
                COPY._replace(host="second.example"),
                SUSPECT._replace(host="third.example"),
                COPY._replace(key="other"),
            ],
            by("12 pages"),
        )
        await told(store, topics, VerdictKind.HOSTILE)
        for _ in range(2):
            await rotate_key(books, "k1", "k2", DAY_MS, by("yearly"))
        standing = await writer(store, topics).verdicts.chain.everything()
        of_new = {host: value for host, value in standing.items() if value.key == "k2"}
        assert {name: (value.kind, value.confirmed) for name, value in of_new.items()} == {
            "k2 copy.example": ("hostile", True),
            "k2 second.example": ("copy", False),
        }
        assert of_new["k2 copy.example"].reason == "rotated from k1: they rang"
        assert of_new["k2 copy.example"].evidence == {"content": 0.84}
        names = [key for _, key, _ in topics.log if key in (b"k2", b"k2 copy.example", b"k2 second.example")]
        assert names.index(b"k2") == 2

    async def test_the_judge_never_undoes_the_customers_word(self, store: Store) -> None:
        for attempt in range(self.races):
            topics = Topics()
            key = f"k{attempt}"
            copy = COPY._replace(key=key)
            judged, told = await asyncio.gather(
                append_verdict(writer(store, topics, impatient()).verdicts, copy, by("evidence")),
                confirm_verdicts(
                    writer(store, topics, impatient()).verdicts,
                    *("acme", [key], copy.host, VerdictKind.BENIGN, by("it is theirs")),
                ),
            )
            name = subject(key, copy.host)
            assert await writer(store, topics).verdicts.chain.get(name) == told[name]
            assert told[name].kind == "benign"
            assert judged == told[name] or judged.kind is VerdictKind.COPY
            assert topics.compacted("origin-verdicts")[name]["kind"] == "benign"

    async def test_verdicts_come_back_on_a_new_kafka(self, store: Store) -> None:
        lost, new = Topics(), Topics()
        many = [COPY._replace(host=f"copy-{n}.example") for n in range(20)]
        standing = await append_verdicts(writer(store, lost).verdicts, many, by("evidence"))
        assert len(standing) == 20
        assert await writer(store, new).verdicts.publish_all() == (20, [])
        assert new.compacted("origin-verdicts") == lost.compacted("origin-verdicts")
        assert await writer(store, new).verdicts.chain.everything() == standing
