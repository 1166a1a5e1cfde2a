"""All that other people's flows need beside a tile's Verilog, as texts by file name."""

from __future__ import annotations

from rtl.macro_stub import stub_name
from rtl.top import module_name
from spec.tile import TileSpec
from synth.packaging import file_list, fusesoc, librelane, litex, test_bench, vivado


def files(spec: TileSpec) -> dict[str, str]:
    """The texts; names are relative to the folder that has the tile, its stub and the waivers."""
    top, stub, bench = module_name(spec), stub_name(spec), test_bench.name(spec)
    return {
        f"{bench}.v": test_bench.text(spec),
        f"{top}.f": file_list.text([f"{top}.v"], "The tile"),
        f"{bench}.f": file_list.text(
            [f"{top}.v", f"{stub}.v", f"{bench}.v"],
            "The tile, the stub of its array, and a bench that checks itself",
        ),
        f"{top}.core": fusesoc.text(spec),
        librelane.FILE: librelane.text(spec),
        vivado.FILE: vivado.text(spec),
        litex.module_file(spec): litex.module_text(spec),
        litex.EXAMPLE: litex.example_text(spec),
    }
