"""The script that makes Vivado IPs, against stand-ins for Vivado's commands in a plain Tcl.

What this cannot show is that Vivado takes the commands as the stand-ins do.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from spec.ports import PORTS
from tests.packaging.conftest import Program

needs_tcl = pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs Tcl: apt install tcl")
COMMANDS = Path(__file__).parent / "vivado_commands.tcl"
TILE, STUB = "crosstile_5x3", "crosstile_5x3_macro_stub"


def ports(verilog: Path) -> list[str]:
    """Ports of the first module of a file."""
    found = re.search(r"^module \w+\(([^)]*)\)", verilog.read_text(), re.MULTILINE)
    assert found
    return found[1].replace(",", " ").split()


def packaged(run: Program, folder: Path, out: Path, *, infers: bool, part: str = "") -> str:
    """What is known after the script, a line each; or what it failed with."""
    verilog = " ".join(
        f"{name} {{{' '.join(ports(folder / f'{name}.v'))}}}" for name in (TILE, STUB)
    )
    program = f"""
set infers {int(infers)}
set verilog {{{verilog}}}
set argv {{{part}}}
source {COMMANDS}
source {folder / "vivado" / "package_ip.tcl"}
foreach table {{bus parameter property map}} {{
    foreach name [lsort [array names $table]] {{
        puts "$table $name: [join [join [set ${{table}}($name)]]]"
    }}
}}
puts "packaged: $packaged"
puts "open: $project"
"""
    (out / "program.tcl").write_text(program)
    done = run("tclsh", out / "program.tcl", cwd=out)
    return done.stdout if done.returncode == 0 else f"failed: {done.stdout.splitlines()[0]}"


@needs_tcl
@pytest.mark.parametrize("infers", [True, False])
def test_the_ips_have_their_interfaces_clock_and_memory_map(
    infers: bool, tiny: Path, run: Program, tmp_path: Path
) -> None:
    said = packaged(run, tiny, tmp_path, infers=infers)
    known = dict(line.split(": ", 1) for line in said.splitlines() if ": " in line)
    for name, kind in {"s_axil": "aximm", "s_axis": "axis", "m_axis": "axis"}.items():
        of = {port.name for port in PORTS if port.name.startswith(f"{name}_")}
        assert set(known[f"bus {TILE}/{name}"].split()) == {kind, *of}
    assert known[f"bus {TILE}/irq"] == "interrupt irq"
    assert known[f"property {TILE}/irq/SENSITIVITY/value"] == "LEVEL_HIGH"
    for module in (TILE, STUB):
        assert known[f"bus {module}/aclk"] == "clock aclk"
        assert known[f"bus {module}/aresetn"] == "reset aresetn"
        assert known[f"property {module}/aresetn/POLARITY/value"] == "ACTIVE_LOW"
        assert known[f"property {module}/aclk/-reset"] == "aresetn"
        assert known[f"property {module}/name"] == module
        assert known[f"property {module}/saved"] == "1"
    assert known[f"property {TILE}/aclk/-busif"] == "s_axil s_axis m_axis"
    assert known[f"property {TILE}/s_axil/reg0/range"] == "4096"
    assert [word for word in known["packaged"].split() if "/" not in word] == [TILE, STUB]
    assert said.endswith("open: \n")


@needs_tcl
def test_a_part_is_passed_on(tiny: Path, run: Program, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(tiny, tmp_path / "tile"))
    script = damaged / "vivado" / "package_ip.tcl"
    script.write_text(script.read_text().replace("[list -part $part]", "[list -part $part -odd]"))
    assert packaged(run, damaged, tmp_path, infers=True).endswith("open: \n")
    said = packaged(run, damaged, tmp_path, infers=True, part="xc7a100tcsg324-1")
    assert said == "failed: no option -odd"


@needs_tcl
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (("s_axil_awaddr", "s_axil_address"), "crosstile_5x3 has no port s_axil_address"),
        ((" s_axis_tvalid", ""), "xilinx.com:interface:axis_rtl:1.0: no s_axis_tvalid"),
        (("signal irq interrupt", "signal interrupt interrupt"), "has no port interrupt"),
        (("{s_axil s_axis m_axis}", "{s_axil s_axis m_axi}"), "-busif crosstile_5x3/m_axi: no"),
        (("begin_ip crosstile_5x3_macro_stub", "begin_ip crosstile_5x3_stub"), "no such file"),
        (("ipx::save_core", "ipx::store_core"), 'invalid command name "ipx::store_core"'),
        (("-taxonomy /UserIP", "-category /UserIP"), "no option -category"),
    ],
)
def test_a_wrong_script_fails(
    damage: tuple[str, str], said: str, tiny: Path, run: Program, tmp_path: Path
) -> None:
    damaged = Path(shutil.copytree(tiny, tmp_path / "tile"))
    script = damaged / "vivado" / "package_ip.tcl"
    text = script.read_text()
    assert damage[0] in text
    script.write_text(text.replace(*damage))
    assert said in packaged(run, damaged, tmp_path, infers=False)
