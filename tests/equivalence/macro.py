"""The array macro at the tile's pins, a cycle at a time, answered by the golden array.

It trusts nothing: a line driven outside its window, a select that moves within a phase, a pulse
that is not one piece, or a request before `ready` has fallen is an error.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from golden.analog.array import Array
from golden.words import pulsing, words_of
from spec.boundary import Pair
from spec.commands import PairCode, Phase
from spec.tile import TileSpec

DRIVES = (Phase.FORWARD, Phase.BACKWARD, Phase.UPDATE, Phase.READ)
STROBES = (Phase.PRECHARGE, Phase.RESET, Phase.SET)
PAIRS = {PairCode.ALL: Pair.ALL, PairCode.HIGHER: Pair.HIGHER, PairCode.LOWER: Pair.LOWER}
SELECTS = ("phase", "lower_swap", "row_lower_swap", "row_select", "pair", "column_select")


class Wrong(AssertionError):
    """The tile broke a rule of the pins."""


@dataclass
class Pins:
    """Output pins of one cycle; vectors are integers of a bit a line."""

    clear: int = 0
    request: int = 0
    phase: int = 0
    row_pulse: int = 0
    column_pulse: int = 0
    column_sign: int = 0
    lower_swap: int = 0
    row_lower_swap: int = 0
    row_select: int = 0
    pair: int = 0
    column_enable: int = 0
    column_select: int = 0
    set_write: int = 0
    set_column: int = 0
    set_code: int = 0
    set_minus: int = 0
    convert_hold: int = 0


NAMES = tuple(Pins.__dataclass_fields__)


@dataclass
class Cut:
    """Where a soft reset fell: after `events` whole ones, and, if `inside`, in the next.

    Of that one, `slots` were delivered (of an IDLE: cycles had passed), or nothing of a conversion
    was returned.
    """

    events: int
    inside: bool = False
    slots: int = 0


def bits(word: int, count: int) -> np.ndarray:
    """The low `count` bits of a word, as integers."""
    return np.array([(word >> line) & 1 for line in range(count)], np.int64)


@dataclass
class PinMacro:
    """Call `cycle` once a clock with what the pins show; it gives the inputs of the next clock.

    `delay` is the largest random wait of an answer, 0: the next cycle. `events`: what was done.
    """

    spec: TileSpec
    array: Array
    seed: int = 0
    delay: int = 0
    dead: bool = False
    events: list[tuple[Any, ...]] = field(default_factory=list)
    cut: Cut | None = None

    def __post_init__(self) -> None:
        """Nothing is asked yet."""
        self.random = random.Random(self.seed)
        self.ready = 0
        self.open: Pins | None = None
        self.wait = 0
        self.slots: list[tuple[int, int]] = []
        self.signs = 0
        self.groups: list[int] = []
        self.codes: np.ndarray | None = None
        self.latched = [(0, 0)] * self.spec.columns

    def cycle(self, pins: Pins) -> SimpleNamespace:
        """The inputs `ready`, `convert_valid`, `convert_codes` of the next cycle."""
        if self.dead:
            return SimpleNamespace(ready=0, convert_valid=0, convert_codes=0)
        answer = SimpleNamespace(ready=0, convert_valid=0, convert_codes=0)
        if pins.clear:
            if pins.request:
                raise Wrong("a request while the integrators are cleared")
            self._clear()
        if pins.set_write:
            if pins.request:
                raise Wrong("a step code is latched within a phase")
            self.latched[pins.set_column] = (pins.set_code, pins.set_minus)
        if pins.request:
            if self.open is None:
                self._begin(pins)
            self._check(pins)
            answer = self._work(pins)
        else:
            if pins.row_pulse or pins.column_pulse:
                raise Wrong("a line is driven without a request")
            if self.open is not None:
                self._end()
                self.wait = self.random.randint(0, self.delay)
            elif self.ready:
                self.wait -= 1
            answer.ready = int(bool(self.ready) and self.wait > 0)
        self.ready = answer.ready
        return answer

    def rest(self) -> None:
        """Forget the phase in hand: a macro that has failed starts anew."""
        self.open, self.ready, self._driving = None, 0, 0
        self.array.clear_integrators()

    def _clear(self) -> None:
        """A soft reset: of what is open only a part happens."""
        before, opened = len(self.events), self.open
        cut = Cut(before)
        if opened is not None:
            phase, self.open = Phase(opened.phase), opened
            if phase in DRIVES and len(self.slots) < self._window(phase):
                slots = len(self.slots)
                cut = Cut(before, True, slots if phase is Phase.UPDATE else 0)
                self._end()
                self.events[-1] = ("cut", self.events[-1][0], cut.slots)
            elif phase is Phase.IDLE:
                cut = Cut(before, True, self.idle)
                self._end()
                self.events[-1] = ("cut", "wait", self.idle)
            elif phase in DRIVES or phase in STROBES:
                self._end()
                cut = Cut(len(self.events))
            elif self.codes is None or self.sent * self.spec.converters.lanes < len(self.codes):
                self._take_back()
                cut = Cut(len(self.events), True)
        self.open, self._driving = None, 0
        self.array.clear_integrators()
        self.cut = cut

    def _take_back(self) -> None:
        """A conversion not returned has taken its time, and drawn no noise."""
        if self.codes is not None:
            self.events.pop()
            self.array.columns.noise.ordinals[:] = self.ordinals[0]
            self.array.rows.noise.ordinals[:] = self.ordinals[1]
        else:
            self.array.wait(self.spec.timing.conversion_ns)

    def _window(self, phase: Phase) -> int:
        spec = self.spec
        return {
            Phase.FORWARD: spec.row_code.high,
            Phase.BACKWARD: spec.column_code.high,
            Phase.READ: 1 << (spec.row_code.bits - 1),
            Phase.UPDATE: spec.update.slots,
        }[phase]

    def _begin(self, pins: Pins) -> None:
        if self.ready:
            raise Wrong("a request before ready has fallen")
        self.open = pins
        self.wait = self.random.randint(0, self.delay)
        self.slots, self.groups, self.codes, self.idle = [], [], None, 0
        self.done = False

    def _check(self, pins: Pins) -> None:
        assert self.open is not None
        for name in SELECTS:
            if getattr(pins, name) != getattr(self.open, name):
                raise Wrong(f"{name} moves within {Phase(self.open.phase).name}")
        if self.open.phase not in DRIVES and (pins.row_pulse or pins.column_pulse):
            raise Wrong(f"a line is driven in {Phase(self.open.phase).name}")

    def _work(self, pins: Pins) -> SimpleNamespace:
        phase = Phase(pins.phase)
        answer = SimpleNamespace(ready=self.ready, convert_valid=0, convert_codes=0)
        if phase is Phase.IDLE:
            self.idle += 1
        elif phase in DRIVES:
            if self._driving > self.spec.host.synchroniser_flops:
                self.slots.append((pins.row_pulse, pins.column_pulse))
                self.signs = pins.column_sign
            elif pins.row_pulse or pins.column_pulse:
                raise Wrong("a line is driven before ready")
            # The tile sees ready behind its synchroniser; its lines follow in the next cycle.
            self._driving += self.ready
            answer.ready = self._ready()
        elif phase in STROBES:
            if not self.done:
                self._strobe(pins)
                self.done = True
            if self._driving > self.spec.host.synchroniser_flops:
                raise Wrong(f"{phase.name} goes on after its answer")
            # It is seen behind the synchroniser here too, and ends the request with the next edge.
            self._driving += self.ready
            answer.ready = self._ready()
        else:
            self._convert(pins, answer)
        return answer

    _driving = 0

    def _ready(self) -> int:
        self.wait -= 1
        return int(self.wait < 0)

    def _strobe(self, pins: Pins) -> None:
        row, selected = pins.row_select, bits(pins.column_select, self.spec.columns) > 0
        if pins.phase == Phase.PRECHARGE:
            self.array.precharge(row)
            self.events.append(("precharge", row))
        elif pins.phase == Phase.RESET:
            self.array.reset(row, selected)
            self.events.append(("reset", row, selected.tolist()))
        else:
            codes = np.array([code for code, _ in self.latched])
            minus = np.array([minus for _, minus in self.latched]) > 0
            codes, minus = np.where(selected, codes, 0), selected & minus
            self.array.set(row, selected, minus, codes)
            self.events.append(("set", row, selected.tolist(), minus.tolist(), codes.tolist()))

    def _convert(self, pins: Pins, answer: SimpleNamespace) -> None:
        lanes, spec = self.spec.converters.lanes, self.spec
        width = max(c.bits for c in (spec.forward_code, spec.backward_code, spec.weight_code))
        if self.codes is None:
            self.codes = self._codes(pins)
            self.sent = 0
        if self.sent * lanes < len(self.codes) and self.random.random() >= 0.3 * (self.delay > 0):
            part = self.codes[self.sent * lanes : (self.sent + 1) * lanes]
            word = 0
            for lane, code in enumerate(part):
                word |= (int(code) & ((1 << width) - 1)) << (lane * width)
            answer.convert_valid, answer.convert_codes = 1, word
            self.sent += 1

    def _codes(self, pins: Pins) -> np.ndarray:
        noises = self.array.columns.noise.ordinals, self.array.rows.noise.ordinals
        self.ordinals = noises[0].copy(), noises[1].copy()
        array, enabled = self.array, bits(pins.column_enable, self.spec.columns) > 0
        if pins.phase == Phase.CONVERT_FORWARD:
            self.events.append(("convert_forward",))
            return array.convert_forward(enabled)
        if pins.phase == Phase.CONVERT_BACKWARD:
            self.events.append(("convert_backward",))
            return array.convert_backward()
        self.events.append(("convert_read",))
        return array.convert_read(enabled, 1, hold=bool(pins.convert_hold))[0]

    def _end(self) -> None:
        assert self.open is not None
        pins, spec = self.open, self.spec
        self.open, self._driving = None, 0
        phase = Phase(pins.phase)
        if phase is Phase.IDLE:
            self.array.wait(self.idle * spec.timing.cycle_ns)
            self.events.append(("wait", self.idle))
            return
        if phase in STROBES:
            return
        if phase not in DRIVES:
            if self.codes is None or self.sent * spec.converters.lanes < len(self.codes):
                raise Wrong(f"{phase.name} ended before its last group")
            return
        rows = self._words(0, spec.rows)
        columns = self._words(1, spec.columns)
        signs = bits(self.signs, spec.columns)
        if phase is Phase.UPDATE:
            row_words, column_words = (words_of(w, spec.update.slots) for w in (rows, columns))
            self.array.update(row_words, column_words, signs > 0)
            pulsed = pulsing(column_words) & (signs > 0)
            self.events.append(("update", rows, columns, pulsed.tolist()))
        elif phase is Phase.FORWARD:
            durations = self._durations(rows)
            self.array.integrate_columns(durations, pins.lower_swap)
            self.events.append(("integrate_columns", durations.tolist(), pins.lower_swap))
        elif phase is Phase.BACKWARD:
            durations = self._durations(columns) * (1 - 2 * signs)
            swaps = bits(pins.row_lower_swap, spec.rows)
            self.array.integrate_rows(durations, swaps)
            self.events.append(("integrate_rows", durations.tolist(), swaps.tolist()))
        else:
            durations = self._durations(rows)
            whole = len(self.slots) == self._window(phase)
            expected = np.zeros(spec.rows, int)
            expected[pins.row_select] = 1 << (spec.row_code.bits - 1)
            if whole and durations.tolist() != expected.tolist():
                raise Wrong(f"READ of row {pins.row_select} drove {durations.tolist()}")
            pair = PAIRS[PairCode(pins.pair)]
            self.array.integrate_read(pins.row_select, pair, pins.lower_swap)
            self.events.append(("integrate_read", pins.row_select, pair, pins.lower_swap))

    def _words(self, side: int, lines: int) -> list[int]:
        words = [0] * lines
        for slot, lines_high in enumerate(self.slots):
            for line in range(lines):
                words[line] |= ((lines_high[side] >> line) & 1) << slot
        return words

    @staticmethod
    def _durations(words: list[int]) -> np.ndarray:
        for line, word in enumerate(words):
            if word & (word + 1):
                raise Wrong(f"line {line}: a pulse that is not one piece, {word:b}")
        return np.array([word.bit_length() for word in words], np.int64)
