"""The proving itself: each outcome, on a counter that is easy to understand."""

from __future__ import annotations

import pytest
from amaranth.hdl import Module, Signal

from tests.formal.prove import Harness


class Counter(Harness):
    """Counts in twos from 0 to 8 while `enable`; the property `even` needs no other to hold."""

    def __init__(self, limit: int = 8) -> None:
        self.limit = limit

    def describe(self, m: Module) -> None:
        enable, count, twice = Signal(), Signal(4), Signal(5)
        self.free(m, enable)
        with m.If(enable & (count != self.limit)):
            m.d.sync += [count.eq(count + 2), twice.eq(twice + 4)]
        self.always(m, "even", ~count[0])
        self.always(m, "below_nine", count < 9)
        self.always(m, "not_six", count != 6)
        self.always(m, "not_both_odd", count != 7)
        self.always(m, "held", (self.past(m, enable)) | (count == self.past(m, count)))
        self.reach(m, "eight", count == 8)
        self.reach(m, "nine", count == 9)


class Impossible(Counter):
    """Without any run."""

    def describe(self, m: Module) -> None:
        super().describe(m)
        enable = Signal()
        self.assume(m, enable)


def test_induction_proves(prove) -> None:
    assert prove(Counter(), method="induction", depth=2, only=["even", "below_nine", "held"]).passed


def test_a_counterexample_names_its_property_alone(prove) -> None:
    for method, depth in (("bmc", 6), ("induction", 6)):
        proof = prove(Counter(), method=method, depth=depth)
        assert proof.failed == {"not_six"}
        trace = next(result.trace for result in proof.results if result.name == "not_six")
        assert trace.endswith(".vcd")
    assert prove(Counter(), method="bmc", depth=3).passed, "six is reached in the fourth cycle"


def test_what_is_true_but_not_inductive_is_unknown(prove) -> None:
    proof = prove(Counter(), method="induction", depth=2, only=["not_both_odd"])
    assert not proof.passed
    assert not proof.failed


def test_cover(prove) -> None:
    proof = prove(Counter(), method="cover", depth=8)
    assert not proof.passed
    assert proof.failed == {"nine"}
    assert prove(Counter(), method="cover", depth=8, only=["eight"]).passed


def test_a_harness_without_runs_or_properties_is_an_error(prove) -> None:
    with pytest.raises(RuntimeError):
        prove(Impossible(), method="bmc", depth=3, only=["even"])
    with pytest.raises(RuntimeError, match="no property odd"):
        prove(Counter(), method="bmc", depth=3, only=["odd"])
