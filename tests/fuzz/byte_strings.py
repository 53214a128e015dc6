"""The fuzz target driven by Hypothesis: byte strings, and the vectors with a few changes."""

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.target import seeds, try_one
from tests.unit.sealing.mutations import edited, some_edits

ROUND = 500  # inputs
SEEDS = tuple(seeds())

inputs = st.one_of(
    st.binary(max_size=1024),
    st.builds(lambda letter, rest: letter + rest, st.sampled_from([b"H", b"B", b"R", b"N"]), st.binary()),
    st.builds(edited, st.sampled_from(SEEDS), some_edits),
)


def tried(number: int) -> int:
    """Tries ROUND inputs that follow from `number`; raises what the target does, the input shrunk."""

    @seed(number)
    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def one(data: bytes) -> None:
        try_one(data)

    one()
    return ROUND
