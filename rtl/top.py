"""The tile with the port names of the outside world: one clock `aclk`, `aresetn`, AXI, the macro.

Module names begin with `crosstile_<rows>x<columns>`, so that tiles of several sizes go together.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.tile import Tile
from spec.tile import TileSpec

FROM_MACRO = ("ready", "convert_valid", "convert_codes")


def module_name(spec: TileSpec) -> str:
    """The top module of a tile."""
    return f"crosstile_{spec.rows}x{spec.columns}"


class Shell(wiring.Component):
    """A component `part`, with flat names for its ports and clock and reset as ports too.

    `names` lists what each port is inside; `ports`, all their names. One clock domain, of `aclk`,
    reset while `aresetn` is low.
    """

    aclk: Signal
    aresetn: Signal

    def __init__(self, role: str, part: Any, names: dict[str, tuple[str, ...]]) -> None:
        """`role` is the name of the part's module, below this one."""
        self.role, self.part, self.names = role, part, names
        members: dict[str, Any] = {"aclk": In(1), "aresetn": In(1)}
        for name, path in names.items():
            inner: Any = part
            for step in path[:-1]:
                inner = getattr(inner, step)
            members[name] = inner.signature.members[path[-1]]
        super().__init__(members)
        self.ports = list(members)

    def elaborate(self, platform: object) -> Module:
        """Wires, and the clock domain."""
        m = Module()
        m.domains.sync = ClockDomain("sync")
        m.d.comb += [ClockSignal().eq(self.aclk), ResetSignal().eq(~self.aresetn)]
        m.submodules[self.role] = self.part
        for name, path in self.names.items():
            inner: Any = self.part
            for step in path:
                inner = getattr(inner, step)
            outer = getattr(self, name)
            inward = self.signature.members[name].flow is In
            m.d.comb += inner.eq(outer) if inward else outer.eq(inner)
        return m


def flat(prefix: str, part: Any, port: str) -> dict[str, tuple[str, ...]]:
    """Names of a port's signals outside: the prefix and their own."""
    return {f"{prefix}_{name}": (port, name) for name in getattr(part, port).signature.members}


class Top(Shell):
    """A tile: s_axil_awaddr, s_axis_tdata, m_axis_tdata, irq, macro_request, analog_safe, ..."""

    def __init__(self, spec: TileSpec) -> None:
        """The macro's answers are named as its other pins are."""
        self.spec, self.tile = spec, (tile := Tile(spec))
        super().__init__(
            "tile",
            tile,
            flat("s_axil", tile, "axil")
            | flat("s_axis", tile, "s_axis")
            | flat("m_axis", tile, "m_axis")
            | {"irq": ("irq",)}
            | flat("macro", tile, "pins")
            | {f"macro_{name}": (name,) for name in FROM_MACRO}
            | {"analog_safe": ("analog_safe",)},
        )


def top_ports(spec: TileSpec) -> dict[str, tuple[str, int]]:
    """Direction, "input" or "output", and width of a tile's ports, by name."""
    top = Top(spec)
    for part in (top, top.tile, top.tile.axi_lite):
        # Made to be looked at; Amaranth warns of what is never elaborated.
        part._MustUse__silence = True  # type: ignore[attr-defined]
    members = top.signature.members
    directions = {In: "input", Out: "output"}
    return {name: (directions[members[name].flow], len(getattr(top, name))) for name in top.ports}
