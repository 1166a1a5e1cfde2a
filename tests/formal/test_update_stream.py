"""Proofs of rtl/update_stream.py: both sides' streams, joined as in the tile.

What their users keep to: a second phase comes after a whole first one of the same UPDATE, the host
writes a state while no UPDATE is open, and not 0, and leaves the rates alone from the cycle before
it is. These are small, so that the solver's multipliers are.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from amaranth.hdl import Array, Cat, Fragment, Module, Mux, Signal, Value

import rtl.update_stream
from spec.lfsr import COLUMN_LAG, DRAW_BITS, LFSR_BITS, ROW_LAG, draw
from spec.tile import CodeSpec, TileSpec, UpdateSpec
from tests.formal.claims import Claim
from tests.formal.inside import Inside
from tests.formal.prove import Harness

SLOTS, BITS = 4, 2
SLOT_BITS = SLOTS.bit_length() - 1
SPEC = TileSpec(
    rows=2,
    columns=2,
    codes=CodeSpec(pwm_bits=BITS, column_bits=BITS),
    update=UpdateSpec(slots=SLOTS),
)
STOCHASTIC = dataclasses.replace(
    SPEC, update=dataclasses.replace(SPEC.update, stream_mode="stochastic")
)
LAGS = {"row": ROW_LAG, "column": COLUMN_LAG}
SCALE_LIMIT = 2 << BITS


def drawn(state: Value, side: str) -> Value:
    """One draw as the spec has it."""
    return draw(state, LAGS[side])[:LFSR_BITS]


def threshold(
    state: Value, slot: Any, scramble: Value, scale: Value, side: str, spec: TileSpec
) -> Value:
    """A threshold as the design document has it; low_discrepancy replaces the draw's top bits."""
    u = state[:DRAW_BITS]
    if spec.update.stream_mode == "low_discrepancy":
        order = slot if side == "row" else Cat(slot[bit] for bit in reversed(range(SLOT_BITS)))
        u = Cat(state[: DRAW_BITS - SLOT_BITS], order ^ scramble)
    full = (u * scale)[DRAW_BITS:]
    return Mux(full > (1 << BITS) - 1, (1 << BITS) - 1, full)[:BITS]


class Streams(Harness):
    """Both streams; for each a model that draws by spec/lfsr.py and notes what it gave."""

    spec = SPEC

    def describe(self, m: Module) -> None:
        begin, replay, take = Signal(), Signal(), Signal()
        commit, stop = Signal(), Signal()
        self.free(m, begin, replay, take, commit, stop)
        streams = {side: rtl.update_stream.UpdateStream(self.spec, side) for side in LAGS}
        inside = {side: Inside(stream) for side, stream in streams.items()}
        row, column = streams.values()
        for side, stream in streams.items():
            m.submodules[side] = inside[side].fragment
            m.d.comb += [
                stream.begin.valid.eq(begin),
                stream.begin.payload.replay.eq(replay),
                stream.o.ready.eq(take),
                stream.commit.eq(commit),
                stream.stop.eq(stop),
            ]
            self.free(m, stream.scale, stream.write_state, stream.new_state)
        begins = Signal()
        m.d.comb += begins.eq(begin & row.begin.ready & column.begin.ready & ~stop)
        busy = {side: inside[side]["busy"] for side in LAGS}
        opened, whole, second = Signal(), Signal(), Signal()
        working, given = busy["row"], Signal(range(SLOTS + 1))
        taken = row.o.valid & take
        last = taken & (given == SLOTS - 1)
        with m.If(begins):
            m.d.sync += [opened.eq(1), second.eq(replay), given.eq(0)]
            with m.If(~replay):
                m.d.sync += whole.eq(0)
        with m.If(taken):
            m.d.sync += given.eq(given + 1)
            with m.If(last):
                m.d.sync += whole.eq(1)
        with m.If(commit | stop):
            m.d.sync += [opened.eq(0), whole.eq(0)]
        self.assume(m, ~(begin & replay) | (opened & whole))
        self.assume(m, ~(begin & ~replay) | ~opened)
        self.assume(m, ~commit | (~working & ~begin))
        # A write makes its side draw anew, before a command can come.
        written = self.past(m, row.write_state | column.write_state)
        self.assume(m, ~(written & begin))
        # An offer stays until it is taken, or stopped: test_drive.py has it of a phase that fails.
        self.assume(m, ~self.past(m, begin & ~begins & ~stop) | begin | stop)
        for stream in streams.values():
            self.assume(m, ~stream.write_state | (~opened & ~begin & (stream.new_state != 0)))
            self.assume(m, ~(opened | begin) | (stream.scale == self.past(m, stream.scale)))
            self.assume(m, stream.scale < SCALE_LIMIT)

        names = ("drawing", "drawn", "multiplied", "busy")
        states = [Cat(inside[side][name] for name in names) for side in LAGS]
        in_step = (states[0] == states[1]) & (row.o.valid == column.o.valid)
        in_step &= written | (row.begin.ready == column.begin.ready)
        self.always(m, "the_sides_are_in_step", in_step)
        model = [~working | opened, ~working | ~row.begin.ready]
        model += [~(row.begin.ready & opened) | begin | stop, ~whole | opened]
        model += [whole | ~opened | working, ~second | whole | ~opened]
        model += [~opened | (given <= SLOTS), ~working | (given < SLOTS)]
        for side, stream in streams.items():
            self._side(m, side, stream, inside[side], locals(), model)
        self.always(m, "the_model_follows", Cat(model).all())
        both = second & last
        self.reach(
            m, "an_update_in_two_phases", both & (row.o.payload > 0) & (column.o.payload > 0)
        )
        self.reach(m, "a_second_phase_cut_short", self.past(m, stop & second & row.o.valid))
        self.reach(m, "two_updates", begins & (row.state != 1) & ~replay)

    def _side(
        self, m: Module, side: str, stream: Any, inside: Inside, now: dict, model: list
    ) -> None:
        opened, begins, working, given = (
            now[n] for n in ("opened", "begins", "working", "given")
        )  # fmt: skip
        whole, second, stop, commit = (now[n] for n in ("whole", "second", "stop", "commit"))
        state, scale = stream.state, stream.scale
        begun = Signal(LFSR_BITS, init=1, name=f"{side}_begun")
        with m.If(begins & ~opened):
            m.d.sync += begun.eq(state)
        # What an UPDATE draws from the state that it begins with: the scramble, then the slots'.
        scrambled = drawn(state, side)
        scramble = scrambled[DRAW_BITS - SLOT_BITS : DRAW_BITS]
        chain, expected = [drawn(scrambled, side)], []
        for number in range(SLOTS):
            named = Signal(LFSR_BITS, name=f"{side}_draw_{number}")
            m.d.comb += named.eq(chain[number])
            chain[number] = named
            chain.append(drawn(named, side))
            slot = self._number(m, number)
            expected.append(threshold(named, slot, scramble, scale, side, self.spec))
        noted = [Signal(BITS, name=f"{side}_threshold_{n}") for n in range(SLOTS)]
        offered = stream.o.valid
        for number in range(SLOTS):
            with m.If(offered & ~second & (given == number)):
                m.d.sync += noted[number].eq(stream.o.payload)
        alive = (state != 0) & (inside["ahead"] != 0)
        self.always(m, f"{side}_state_is_never_0", alive)
        self.always(
            m,
            f"{side}_thresholds_are_those_of_the_draws",
            ~offered | (stream.o.payload == Array(expected)[given[:SLOT_BITS]]),
        )
        again = offered & second
        self.always(m, f"{side}_replay_gives_the_same_thresholds",
                    ~again | (stream.o.payload == Array(noted)[given[:SLOT_BITS]]))  # fmt: skip
        back = self.past(m, stop & opened)
        self.always(m, f"{side}_stop_takes_the_draws_back", ~back | (state == self.past(m, begun)))
        kept = self.past(m, commit & opened & ~stop)
        self.always(
            m, f"{side}_commit_keeps_the_draws", ~kept | (state == self.past(m, chain[SLOTS - 1]))
        )
        written = self.past(m, stream.write_state & ~working)
        self.always(
            m, f"{side}_write_loads_the_state", ~written | (state == self.past(m, stream.new_state))
        )
        free = self.past(m, ~stream.write_state & ~(commit & opened))
        self.always(m, f"{side}_state_stays_otherwise", ~free | (state == self.past(m, state)))

        # The steps: so many draws were made of those of a phase, and some are under way.
        ahead, ready, drawing = inside["ahead"], inside["ready"], inside["drawing"]
        drawn_, multiplied, ordered = inside["drawn"], inside["multiplied"], inside["ordered"]
        made = Signal(range(SLOTS + 3), name=f"{side}_made")
        m.d.comb += made.eq(given + offered + multiplied + drawn_)
        slot = made[:SLOT_BITS]
        order = slot if side == "row" else Cat(slot[bit] for bit in reversed(range(SLOT_BITS)))
        model += [~opened | (state == begun), inside["open_"] == opened]
        model += [~opened | (inside["scale"] == scale)]
        model += [~(ready & working), ~ready | (ahead == chain[0])]
        model += [~ready | ((inside["slot"] == 0) & (inside["scramble"] == scramble))]
        model += [~ready | (ordered == scramble), working | (inside["slot"] == 0)]
        model += [~working | ((made <= SLOTS) & (drawing == (made < SLOTS)))]
        model += [~working | ((inside["slot"] == slot) & (inside["scramble"] == scramble))]
        model += [~working | (ordered == order ^ scramble)]
        present = Array([*chain[:SLOTS], chain[SLOTS - 1]])[made]
        model += [~working | (ahead == present)]
        model += [~whole | working | ready | (ahead == chain[SLOTS - 1])]
        # Each is (u scale) of its slot, in so many pieces.
        for steps, pieces, count in (
            (drawn_, [inside[f"part_{place}"] for place in range(4)], given + offered + multiplied),
            (multiplied, [inside["half_0"], inside["half_1"]], given + offered),
        ):
            under_way = Signal(SLOT_BITS, name=f"{side}_under_way_{len(pieces)}")
            full = Signal(DRAW_BITS * 2 + 1, name=f"{side}_full_{len(pieces)}")
            bits = DRAW_BITS // len(pieces)
            product: Any = pieces[0]
            for place, piece in enumerate(pieces[1:], 1):
                product = product + (piece << (place * bits))
            m.d.comb += [under_way.eq(count), full.eq(product)]
            # No sum of theirs is too wide for its register.
            most = ((1 << DRAW_BITS) - 1) * ((1 << bits) - 1)
            model += [~steps | Cat(piece <= most for piece in pieces).all()]
            limit = (1 << BITS) - 1
            limited = Mux(full[DRAW_BITS:] > limit, limit, full[DRAW_BITS:])[:BITS]
            model += [~steps | (limited == Array(expected)[under_way])]
        for number in range(SLOTS):
            known = opened & (whole | (~second & (given > number)))
            model += [~known | (noted[number] == expected[number])]

    def _number(self, m: Module, number: int) -> Signal:
        slot = Signal(SLOT_BITS)
        m.d.comb += slot.eq(number)
        return slot


class StochasticStreams(Streams):
    """The same in the other mode: the whole draw counts."""

    spec = STOCHASTIC


MODULE = rtl.update_stream
STOCHASTIC_THRESHOLDS = [
    Claim(f"{side}_thresholds_are_those_of_the_draws", "(u scale) >> 16 of the spec's draw",
          MODULE, 'spec.update.stream_mode == "low_discrepancy"',
          f'spec.update.stream_mode == "low_discrepancy" or side == "{side}"')
    for side in LAGS
]  # fmt: skip


def _side_claims(side: str) -> list[Claim]:
    return [
        Claim(f"{side}_state_is_never_0", "nor the one that runs ahead of it",
              MODULE, "new = state[LFSR_BITS - STEPS_A_DRAW :] ^",
              "new = state[LFSR_BITS - STEPS_A_DRAW :] &"),
        Claim(f"{side}_thresholds_are_those_of_the_draws",
              "(u scale) >> 16 of the spec's draw, its top bits replaced by slot and scramble",
              MODULE, "order ^ scramble", "order"),
        Claim(f"{side}_replay_gives_the_same_thresholds", "slot by slot, in the second phase",
              MODULE, "scrambled = self._drawn(state)", "scrambled = self._drawn(state ^ open_)"),
        Claim(f"{side}_stop_takes_the_draws_back",
              "in any cycle of an UPDATE, of either phase, the state is that of its begin again",
              MODULE, "with m.If(self.commit & open_ & ~self.stop):",
              "with m.If((self.commit | self.stop) & open_):"),
        Claim(f"{side}_commit_keeps_the_draws", "those of the scramble and of all slots, once",
              MODULE, "state.eq(ahead)", "state.eq(self._drawn(ahead))"),
        Claim(f"{side}_write_loads_the_state", "the host's, while no UPDATE is open",
              MODULE, "state.eq(self.new_state)", "state.eq(self.new_state | 1)"),
        Claim(f"{side}_state_stays_otherwise", "whatever is drawn",
              MODULE, "m.d.comb += later.eq(slot + 1)",
              "m.d.comb += later.eq(slot + 1); m.d.sync += state.eq(ahead)"),
    ]  # fmt: skip


CLAIMS = [
    *_side_claims("row"),
    *_side_claims("column"),
    Claim("the_sides_are_in_step", "both scramble, offer and rest in the same cycles",
          MODULE, "with m.If(slot == self.slots - 1):",
          'with m.If(slot == (self.slots - 1 if self.side == "row" else 0)):'),
    Claim("the_model_follows", "the invariant: what runs ahead is in a chain of the spec's draws",
          MODULE, "with m.If(self.stop | self.commit |", "with m.If(self.stop |"),
]  # fmt: skip
_OTHERS = {claim.name: claim for claim in STOCHASTIC_THRESHOLDS}
STOCHASTIC_CLAIMS = [_OTHERS.get(claim.name, claim) for claim in CLAIMS]
"""The same properties; the thresholds are other ones, and so is what breaks them."""
INDUCTION, DAMAGED, WITNESSES = 2, 14, 20


BOTH = pytest.mark.parametrize("harness", [Streams, StochasticStreams])


@BOTH
def test_every_property_has_a_damage(harness: type[Streams]) -> None:
    made = harness()
    Fragment.get(made, None)
    assert sorted(made.names) == sorted(claim.name for claim in CLAIMS)


@pytest.mark.formal
@BOTH
def test_properties(prove, harness: type[Streams]) -> None:
    assert prove(harness(), method="induction", depth=INDUCTION).passed


@pytest.mark.formal
@BOTH
def test_every_update_can_happen(prove, harness: type[Streams]) -> None:
    assert prove(harness(), method="cover", depth=WITNESSES).passed


@pytest.mark.formal
@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_damage_is_found(prove, claim: Claim) -> None:
    with claim.breaks():
        proof = prove(Streams(), method="bmc", depth=DAMAGED, only=[claim.name])
    assert proof.failed == {claim.name}


@pytest.mark.formal
@pytest.mark.parametrize("claim", STOCHASTIC_CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_damage_is_found_in_the_other_mode(prove, claim: Claim) -> None:
    with claim.breaks():
        proof = prove(StochasticStreams(), method="bmc", depth=DAMAGED, only=[claim.name])
    assert proof.failed == {claim.name}
