"""The tile with the port names of the outside world: one clock `aclk`, `aresetn`, AXI, the macro.

Module names begin with `crosstile_<rows>x<columns>`, so that tiles of several sizes go together.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from rtl.tile import Tile
from spec.tile import TileSpec

FROM_MACRO = ("ready", "convert_valid", "convert_codes")


def module_name(spec: TileSpec) -> str:
    """The top module of a tile."""
    return f"crosstile_{spec.rows}x{spec.columns}"


class Top(wiring.Component):
    """`ports` lists all port names, in the order of the module's head."""

    def __init__(self, spec: TileSpec) -> None:
        """Ports are flat: s_axil_awaddr, s_axis_tdata, m_axis_tdata, macro_request, ..."""
        self.spec, self.tile = spec, Tile(spec)
        self._inner: dict[str, tuple[str, ...]] = {}
        members: dict[str, Any] = {"aclk": In(1), "aresetn": In(1)}
        inner = self.tile.signature.members
        for prefix, name in (("s_axil", "axil"), ("s_axis", "s_axis"), ("m_axis", "m_axis")):
            for field, part in inner[name].signature.members.items():
                self._add(members, f"{prefix}_{field}", part, (name, field))
        self._add(members, "irq", inner["irq"], ("irq",))
        for field, part in inner["pins"].signature.members.items():
            self._add(members, f"macro_{field}", part, ("pins", field))
        for name in FROM_MACRO:
            self._add(members, f"macro_{name}", inner[name], (name,))
        self._add(members, "analog_safe", inner["analog_safe"], ("analog_safe",))
        super().__init__(members)
        self.ports = list(members)

    def _add(self, members: dict[str, Any], name: str, part: Any, path: tuple[str, ...]) -> None:
        members[name] = part
        self._inner[name] = path

    def elaborate(self, platform: object) -> Module:
        """Wires, and the clock domain."""
        m = Module()
        m.domains.sync = ClockDomain("sync")
        aclk, aresetn = self._port("aclk"), self._port("aresetn")
        m.d.comb += [ClockSignal().eq(aclk), ResetSignal().eq(~aresetn)]
        m.submodules.tile = self.tile
        for name, path in self._inner.items():
            inner: Any = self.tile
            for part in path:
                inner = getattr(inner, part)
            outer = self._port(name)
            inward = self.signature.members[name].flow is In
            m.d.comb += inner.eq(outer) if inward else outer.eq(inner)
        return m

    def _port(self, name: str) -> Signal:
        return getattr(self, name)
