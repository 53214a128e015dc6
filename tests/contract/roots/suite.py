"""What every root key promises, whoever keeps it: a subclass brings two of one kind as the fixture `pair`."""

import pytest

from workers.errors import StrongroomError
from workers.sealing.keys import Secret, new_key
from workers.sealing.refusals import MalformedKey, Refused
from workers.sealing.root import RootKey
from workers.sealing.roots import Roots, root_context
from workers.store.port import Denied

CONTEXT = root_context("acme", 1)
Pair = tuple[RootKey, RootKey]


class RootContract:
    flips = 1  # every n-th byte is flipped

    async def test_what_it_wraps_it_opens(self, pair: Pair) -> None:
        root, key = pair[0], new_key()
        blobs = [await root.wrap(key, CONTEXT) for _ in range(2)]
        assert blobs[0] != blobs[1]
        for blob in blobs:
            assert blob.find(key) == -1
            assert await root.unwrap(blob, CONTEXT) == key

    @pytest.mark.parametrize(
        "other",
        [
            {**CONTEXT, "workspace": "rival"},
            {**CONTEXT, "generation": "2"},
            {**CONTEXT, "purpose": "else"},
            {**CONTEXT, "more": "x"},
            {name: value for name, value in CONTEXT.items() if name != "purpose"},
            {},
        ],
        ids=["workspace", "generation", "purpose", "a pair more", "a pair less", "none"],
    )
    async def test_under_another_context_nothing_opens(self, pair: Pair, other: dict[str, str]) -> None:
        blob = await pair[0].wrap(new_key(), CONTEXT)
        with pytest.raises(Refused):
            await pair[0].unwrap(blob, other)

    async def test_one_does_not_open_what_the_other_wrapped(self, pair: Pair) -> None:
        blob = await pair[0].wrap(new_key(), CONTEXT)
        with pytest.raises((Refused, Denied)):  # moto says AccessDenied where KMS says IncorrectKey
            await pair[1].unwrap(blob, CONTEXT)

    async def test_nothing_that_was_altered_opens(self, pair: Pair) -> None:
        blob = await pair[0].wrap(new_key(), CONTEXT)
        spoilt = [
            blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :] for at in range(0, len(blob), self.flips)
        ]
        spoilt += [b"", blob[:-1], blob[:8], blob + b"\0", bytes(7000)]
        for one in spoilt:
            with pytest.raises(StrongroomError):
                await pair[0].unwrap(one, CONTEXT)

    async def test_a_key_of_another_length_is_refused(self, pair: Pair) -> None:
        blob = await pair[0].wrap(Secret(b"k" * 16), CONTEXT)
        with pytest.raises(MalformedKey, match="16 bytes"):
            await pair[0].unwrap(blob, CONTEXT)

    async def test_each_proves_itself_and_has_a_name(self, pair: Pair) -> None:
        roots = Roots(pair)
        assert await roots.failures() == {}
        assert len(set(roots.fingerprints)) == 2
        assert pair[0].fingerprint in repr(pair[0])

    async def test_either_opens_what_both_wrapped(self, pair: Pair) -> None:
        key = new_key()
        wrapped = await Roots(pair).wrap_all(key, CONTEXT)
        assert set(wrapped) == {root.fingerprint for root in pair}
        for root in pair:
            assert await Roots([root]).unwrap(wrapped, CONTEXT) == key

    async def test_a_key_is_handed_from_one_to_the_other(self, pair: Pair) -> None:
        key = new_key()
        wrapped = await Roots([pair[0]]).wrap_all(key, CONTEXT)
        both = await Roots(pair).rewrap(wrapped, CONTEXT)
        assert both[pair[0].fingerprint] == wrapped[pair[0].fingerprint]
        alone = await Roots([pair[1]]).rewrap(both, CONTEXT)
        assert alone == {pair[1].fingerprint: both[pair[1].fingerprint]}
        assert await Roots([pair[1]]).unwrap(alone, CONTEXT) == key
