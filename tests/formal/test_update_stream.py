"""Proofs of rtl/update_stream.py: both sides' streams, joined as in the tile.

What their users keep to: a second phase comes after a whole first one of the same UPDATE, the host
writes a state while no UPDATE is open, and not 0, and leaves the rates alone meanwhile. These are
small, so that the solver's multipliers are.
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
        # One begins when both are ready, and a stop comes with no begin.
        begins = begin & row.begin.ready & column.begin.ready
        self.assume(m, ~(begin & stop))
        opened, whole, second = Signal(), Signal(), Signal()
        working, scrambling = ~row.begin.ready, Signal()
        slot = Signal(SLOT_BITS)
        last = row.o.valid & take & (slot == SLOTS - 1)
        m.d.sync += scrambling.eq(begins)
        with m.If(begins):
            m.d.sync += [opened.eq(1), second.eq(replay), slot.eq(0)]
            with m.If(~replay):
                m.d.sync += whole.eq(0)
        with m.If(row.o.valid & take):
            m.d.sync += slot.eq(slot + 1)
            with m.If(last):
                m.d.sync += whole.eq(1)
        with m.If(commit | stop):
            m.d.sync += [opened.eq(0), whole.eq(0)]
        self.assume(m, ~(begin & replay) | (opened & whole))
        self.assume(m, ~(begin & ~replay) | ~opened)
        self.assume(m, ~commit | (~working & ~begin))
        for stream in streams.values():
            self.assume(m, ~stream.write_state | (~opened & ~begin & (stream.new_state != 0)))
            self.assume(m, ~opened | (stream.scale == self.past(m, stream.scale)))
            self.assume(m, stream.scale < SCALE_LIMIT)

        names = ("SCRAMBLE", "SLOTS")
        states = [Cat(inside[side].state(name) for name in names) for side in LAGS]
        in_step = (states[0] == states[1]) & (row.o.valid == column.o.valid)
        self.always(m, "the_sides_are_in_step", in_step)
        model = [inside[side].state("SCRAMBLE") == (scrambling) for side in LAGS]
        model += [~working | opened, ~inside["row"].state("SLOTS") | row.o.valid]
        model += [whole | ~opened | working, ~second | whole | ~opened]
        model += [inside[side]["fsm_state"] <= 2 for side in LAGS]
        for side, stream in streams.items():
            self._side(m, side, stream, inside[side], locals(), model)
        self.always(m, "the_model_follows", Cat(model).all())
        both = second & last & (row.state != 1)
        self.reach(
            m, "an_update_in_two_phases", both & (row.o.payload > 0) & (column.o.payload > 0)
        )
        self.reach(m, "a_second_phase_cut_short", self.past(m, stop & second & row.o.valid))
        self.reach(m, "two_updates", begins & (self.past(m, commit)))

    def _side(
        self, m: Module, side: str, stream: Any, inside: Inside, now: dict, model: list
    ) -> None:
        opened, begins, replay, slot = (now[n] for n in ("opened", "begins", "replay", "slot"))
        first, scrambling, stop, second = (
            now[n] for n in ("whole", "scrambling", "stop", "second")
        )
        state, take, working = stream.state, now["take"], now["working"]
        begun, follows = (
            Signal(LFSR_BITS, init=1, name=f"{side}_{n}") for n in ("begun", "follows")
        )
        scramble = Signal(SLOT_BITS, name=f"{side}_scramble")
        noted_states = [Signal(LFSR_BITS, name=f"{side}_state_{n}") for n in range(SLOTS)]
        noted = [Signal(BITS, name=f"{side}_threshold_{n}") for n in range(SLOTS)]
        next_draw = drawn(follows, side)
        with m.If(begins):
            m.d.sync += follows.eq(Mux(replay, begun, state))
            with m.If(~replay):
                m.d.sync += begun.eq(state)
        with m.Elif(scrambling):
            m.d.sync += [follows.eq(next_draw)]
            m.d.sync += scramble.eq(next_draw[DRAW_BITS - SLOT_BITS : DRAW_BITS])
        with m.Elif(stream.o.valid & take):
            m.d.sync += follows.eq(next_draw)
        # A threshold is made of the draw that the slot's cycle makes.
        given = stream.o.valid & ~second
        for number in range(SLOTS):
            with m.If(given & (slot == number)):
                m.d.sync += [noted[number].eq(stream.o.payload), noted_states[number].eq(next_draw)]
        self.always(m, f"{side}_state_is_never_0", (state != 0) & (inside["first"] != 0))
        offered = stream.o.valid
        expected = threshold(next_draw, slot, scramble, stream.scale, side, self.spec)
        self.always(
            m,
            f"{side}_thresholds_are_those_of_the_draws",
            ~offered | (stream.o.payload == expected),
        )
        again = offered & second
        self.always(m, f"{side}_replay_gives_the_same_thresholds",
                    ~again | (stream.o.payload == Array(noted)[slot]))  # fmt: skip
        back = self.past(m, stop & opened)
        self.always(m, f"{side}_stop_takes_the_draws_back", ~back | (state == self.past(m, begun)))
        written = self.past(m, stream.write_state & ~working)
        self.always(
            m, f"{side}_write_loads_the_state", ~written | (state == self.past(m, stream.new_state))
        )
        free = self.past(m, ~stop & ~stream.write_state & ~begins & ~working)
        self.always(m, f"{side}_state_stays_while_idle", ~free | (state == self.past(m, state)))

        model += [~working | (state == follows), ~opened | (inside["first"] == begun)]
        model += [inside["open_"] == opened]
        slots = inside.state("SLOTS")
        model += [~slots | ((inside["slot"] == slot) & (inside["scramble"] == scramble))]
        # What is noted is a chain of draws from the state at the UPDATE's begin.
        after = drawn(begun, side)
        known = opened & (first | (working & ~scrambling & ~second))
        of_begun = after[DRAW_BITS - SLOT_BITS : DRAW_BITS]
        model += [~slots | (scramble == of_begun), ~(scrambling & working) | (follows == begun)]
        model += [~scrambling | (slot == 0)]
        here = Array([after, *noted_states[:-1]])[slot]
        model += [~slots | (follows == here)]
        for number in range(SLOTS):
            there = known & (first | (slot > number))
            after = drawn(after, side)
            same = noted_states[number] == after
            value = threshold(
                noted_states[number],
                self._number(m, number),
                of_begun,
                stream.scale,
                side,
                self.spec,
            )
            model += [~there | same, ~there | (noted[number] == value)]

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
        Claim(f"{side}_state_is_never_0", "nor the state that a stop goes back to",
              MODULE, "new = state[LFSR_BITS - STEPS_A_DRAW :] ^",
              "new = state[LFSR_BITS - STEPS_A_DRAW :] &"),
        Claim(f"{side}_thresholds_are_those_of_the_draws",
              "(u scale) >> 16 of the spec's draw, its top bits replaced by slot and scramble",
              MODULE, "order ^ scramble", "order"),
        Claim(f"{side}_replay_gives_the_same_thresholds", "slot by slot, in the second phase",
              MODULE,
              "with m.If(self.begin.payload.replay):\n"
              "                        m.d.sync += state.eq(first)",
              "with m.If(0):\n                        m.d.sync += state.eq(first)"),
        Claim(f"{side}_stop_takes_the_draws_back",
              "in any cycle of an UPDATE, of either phase, the state is that of its begin again",
              MODULE, "with m.If(open_):", "with m.If(open_ & self.begin.ready):"),
        Claim(f"{side}_write_loads_the_state", "the host's, while no UPDATE is open",
              MODULE, "state.eq(self.new_state)", "state.eq(self.new_state | 1)"),
        Claim(f"{side}_state_stays_while_idle", "a commit changes nothing",
              MODULE, "m.d.comb += self.begin.ready.eq(1)",
              "m.d.comb += self.begin.ready.eq(1); "
              "m.d.sync += state.eq(Mux(self.commit, first, state))"),
    ]  # fmt: skip


CLAIMS = [
    *_side_claims("row"),
    *_side_claims("column"),
    Claim("the_sides_are_in_step", "both scramble, offer and rest in the same cycles",
          MODULE, "with m.If(slot == self.slots - 1):",
          'with m.If(slot == (self.slots - 1 if self.side == "row" else 0)):'),
    Claim("the_model_follows", "the invariant: what was noted is a chain of the spec's draws",
          MODULE, "with m.If(self.stop | self.commit):", "with m.If(self.stop):"),
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
