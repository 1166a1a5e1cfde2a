"""LiteX: the tile and its array's stub as modules, and a system with them that runs in Icarus."""

from __future__ import annotations

from rtl.macro_stub import forward_shift, stub_name
from rtl.top import module_name
from spec.commands import Command, Destination
from spec.ports import MACRO, PORTS
from spec.registers import registers
from spec.tile import TileSpec

EXAMPLE = "litex/example.py"


def module_file(spec: TileSpec) -> str:
    """The file of the modules."""
    return f"litex/{module_name(spec)}.py"


def module_text(spec: TileSpec) -> str:
    """The modules; the file lies in a folder of the one that has the Verilog."""
    table = registers(spec)
    pins = [port for port in PORTS if port.name.startswith(MACRO)]
    lines = [
        f'"""{module_name(spec)} and the stub of its array as LiteX modules."""',
        "",
        _IMPORTS,
        f'MODULE, STUB = "{module_name(spec)}", "{stub_name(spec)}"',
        f"ROWS, COLUMNS, AXIS_BYTES = {spec.rows}, {spec.columns}, {spec.host.axis_bytes}",
        f"ROW_CODE_HIGH, FORWARD_SHIFT = {spec.row_code.high}, {forward_shift(spec)}",
        "REGISTERS = {",
        *(f'    "{register.name}": 0x{register.offset:02X},' for register in table),
        "}",
        "COMMANDS = {",
        *(f'    "{command.name}": {command.value},' for command in Command),
        "}",
        f"TO_ROWS, TO_COLUMNS, TO_WEIGHTS = {', '.join(str(d.value) for d in Destination)}",
        "MACRO_PINS = {  # width, and whether the tile drives it",
        *(f'    "{pin.name}": ({pin.bits(spec)}, {pin.output}),' for pin in pins),
        "}",
        _MODULES,
    ]
    return "\n".join(lines)


def example_text(spec: TileSpec) -> str:
    """The system, and what its bench does."""
    return _EXAMPLE.replace("MODULE_FILE", module_name(spec))


_IMPORTS = """\
from pathlib import Path

from litex.gen import LiteXModule
from litex.soc.interconnect.axi import AXILiteInterface, AXIStreamInterface
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel
from migen import ClockSignal, Instance, ResetSignal, Signal

VERILOG = Path(__file__).resolve().parent.parent
"""

_MODULES = '''

class Tile(LiteXModule):
    """A tile: `bus` is its registers, `sink` its vectors, `source` its results, `ev` its interrupt.

    `macro` has the array's pins by name. `bus` belongs in a region of 4 KiB that is not cached.
    """

    def __init__(self, platform):
        platform.add_source(str(VERILOG / f"{MODULE}.v"))
        self.bus = AXILiteInterface(data_width=32, address_width=32)
        self.sink = AXIStreamInterface(8 * AXIS_BYTES, dest_width=2)
        self.source = AXIStreamInterface(8 * AXIS_BYTES, dest_width=2)
        self.analog_safe = Signal()
        self.macro = {name: Signal(width, name=name) for name, (width, _) in MACRO_PINS.items()}
        self.ev = EventManager()
        self.ev.tile = EventSourceLevel()
        self.ev.finalize()

        ports = {
            "i_aclk": ClockSignal(),
            "i_aresetn": ~ResetSignal(),
            "i_analog_safe": self.analog_safe,
            "o_irq": self.ev.tile.trigger,
        }
        for name, (_, driven) in MACRO_PINS.items():
            ports[("o_" if driven else "i_") + name] = self.macro[name]
        for name in ("aw", "w", "b", "ar", "r"):
            channel = getattr(self.bus, name)
            comes = name in ("aw", "w", "ar")
            for signal, width in [("valid", 1), *channel.description.payload_layout]:
                # The bus has the system's addresses, the tile those of its page.
                value = getattr(channel, signal)[: 12 if signal == "addr" else width]
                ports[f"{'i' if comes else 'o'}_s_axil_{name}{signal}"] = value
            ports[f"{'o' if comes else 'i'}_s_axil_{name}ready"] = channel.ready
        for prefix, stream in (("s_axis", self.sink), ("m_axis", self.source)):
            comes = stream is self.sink
            for signal in ("data", "keep", "last", "dest", "valid"):
                ports[f"{'i' if comes else 'o'}_{prefix}_t{signal}"] = getattr(stream, signal)
            ports[f"{'o' if comes else 'i'}_{prefix}_tready"] = stream.ready
        self.specials += Instance(MODULE, name="tile", **ports)


class MacroStub(LiteXModule):
    """The stub at the array's pins of a tile; with `loopback` its codes come from the pulses."""

    def __init__(self, platform, tile):
        platform.add_source(str(VERILOG / f"{STUB}.v"))
        self.loopback = Signal(reset=1)
        ports = {"i_aclk": ClockSignal(), "i_aresetn": ~ResetSignal(), "i_loopback": self.loopback}
        for name, (_, driven) in MACRO_PINS.items():
            ports[("i_" if driven else "o_") + name] = tile.macro[name]
        self.specials += Instance(STUB, name="stub", **ports)
'''

_EXAMPLE = r'''"""A LiteX system with the tile and the stub of its array, run in Icarus Verilog.

    python litex/example.py --out build/litex

LiteX writes the system: a Wishbone bus from outside in the place of a processor, the tile behind
LiteX's bridge to AXI4-Lite, and its streams behind CSRs. A test bench, written here, does over
that bus what the programmer's guide does at bring-up, and then a FORWARD. Needs LiteX and iverilog.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from litex.build.generic_platform import GenericPlatform, Pins
from litex.build.io import CRG
from litex.gen import LiteXModule
from litex.soc.integration.builder import Builder
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCMini
from litex.soc.interconnect import wishbone
from litex.soc.interconnect.csr import CSR, CSRField, CSRStatus, CSRStorage
from migen import If

from MODULE_FILE import (
    AXIS_BYTES, COLUMNS, COMMANDS, FORWARD_SHIFT, REGISTERS, ROW_CODE_HIGH, ROWS, STUB, TO_ROWS,
    MODULE, VERILOG, MacroStub, Tile,
)

ORIGIN = 0x30000000
FIELDS = [("LAST", 0, 1), ("DEST", 1, 2), ("KEEP", 3, AXIS_BYTES)]


class StreamPort(LiteXModule):
    """A tile's streams for a processor: a beat at a time, its data in one CSR, the rest in another.

    Writing `send` sends `send_data`; `sending` is 1 until the tile has taken it. `beat` and `data`
    are the beat that the tile offers, if `waiting`; writing `take` takes it.
    """

    def __init__(self, tile):
        fields = [CSRField(name.lower(), size=size, offset=low) for name, low, size in FIELDS]
        copies = [CSRField(name.lower(), size=size, offset=low) for name, low, size in FIELDS]
        self.send_data = CSRStorage(8 * AXIS_BYTES)
        self.send = CSRStorage(fields=fields)
        self.sending = CSRStatus()
        self.waiting = CSRStatus()
        self.data = CSRStatus(8 * AXIS_BYTES)
        self.beat = CSRStatus(fields=copies)
        self.take = CSR()
        sink, source = tile.sink, tile.source
        self.sync += If(self.send.re, sink.valid.eq(1)).Elif(sink.ready, sink.valid.eq(0))
        self.comb += [
            sink.data.eq(self.send_data.storage),
            sink.last.eq(self.send.fields.last),
            sink.dest.eq(self.send.fields.dest),
            sink.keep.eq(self.send.fields.keep),
            self.sending.status.eq(sink.valid),
            self.waiting.status.eq(source.valid),
            self.data.status.eq(source.data),
            self.beat.fields.last.eq(source.last),
            self.beat.fields.dest.eq(source.dest),
            self.beat.fields.keep.eq(source.keep),
            source.ready.eq(self.take.re),
        ]


class System(SoCMini):
    """The system; on a board, take the board's platform and clock, and a processor for the host."""

    def __init__(self, platform):
        self.crg = CRG(platform.request("clk"), platform.request("rst"))
        super().__init__(platform, clk_freq=int(50e6), ident="", ident_version=False)
        host = wishbone.Interface(data_width=32, adr_width=30)
        self.comb += host.connect_to_pads(platform.request("host"), mode="slave")
        self.bus.add_master("host", host)
        self.tile = Tile(platform)
        self.bus.add_slave("tile", self.tile.bus, SoCRegion(ORIGIN, 0x1000, cached=False))
        self.stub = MacroStub(platform, self.tile)
        self.streams = StreamPort(self.tile)


class Script:
    """What the bench does: writes, reads that must give a word, reads until they do."""

    def __init__(self, csrs):
        self.lines, self.csrs = [], csrs

    def write(self, address, word):
        self.lines.append(f"write(32'h{address:08x}, 32'h{word:08x});")

    def expect(self, address, word, mask=0xFFFFFFFF):
        self.lines.append(f"expect_word(32'h{address:08x}, 32'h{mask:08x}, 32'h{word:08x});")

    def wait(self, address, word, mask=0xFFFFFFFF):
        self.lines.append(f"wait_for(32'h{address:08x}, 32'h{mask:08x}, 32'h{word:08x});")

    def csr(self, name, count=1):
        """Addresses of the words of a CSR, lowest bits first; LiteX has the highest ones first."""
        return [self.csrs[name] + 4 * word for word in reversed(range(count))]

    def pairs(self, name, value, bits):
        """Address and content of each word of a CSR, lowest bits first."""
        words = [value >> 32 * n & 0xFFFFFFFF for n in range(-(-bits // 32))]
        return list(zip(self.csr(name, len(words)), words, strict=True))

    def run(self, command):
        """A command of the tile, until its interrupt; it must end without an error."""
        self.write(ORIGIN + REGISTERS["COMMAND"], COMMANDS[command])
        self.wait(self.csr("tile_ev_status")[0], 1)
        self.write(ORIGIN + REGISTERS["IRQ_PENDING"], 7)
        self.expect(ORIGIN + REGISTERS["ERROR"], 0)
        self.expect(self.csr("tile_ev_status")[0], 0)

    def beats(self, data):
        """A packet as (data, keep, last)."""
        for start in range(0, len(data), AXIS_BYTES):
            part = data[start : start + AXIS_BYTES]
            value = int.from_bytes(part, "little")
            yield value, (1 << len(part)) - 1, start + AXIS_BYTES >= len(data)

    def send(self, destination, data):
        """A packet to the tile."""
        for value, keep, last in self.beats(data):
            for address, word in self.pairs("streams_send_data", value, 8 * AXIS_BYTES):
                self.write(address, word)
            rest = last | destination << 1 | keep << 3
            # The lowest word comes last: it is the one that sends.
            for address, word in reversed(self.pairs("streams_send", rest, 3 + AXIS_BYTES)):
                self.write(address, word)
            self.wait(self.csr("streams_sending")[0], 0)

    def receive(self, data):
        """A packet from the tile that must be this one; only bytes that it has are compared."""
        for value, keep, last in self.beats(data):
            self.wait(self.csr("streams_waiting")[0], 1)
            rest = self.pairs("streams_beat", last | keep << 3, 3 + AXIS_BYTES)
            looked_at = self.pairs("streams_beat", ~(3 << 1), 3 + AXIS_BYTES)  # not at DEST
            for (address, word), (_, mask) in zip(rest, looked_at, strict=True):
                self.expect(address, word, mask)
            bytes_left = bin(keep).count("1")
            for address, word in self.pairs("streams_data", value, 8 * AXIS_BYTES):
                self.expect(address, word, (1 << 8 * max(0, min(4, bytes_left))) - 1)
                bytes_left -= 4
            self.write(self.csr("streams_take")[0], 1)


def bring_up(script):
    """The programmer's guide up to CALIBRATE, then a FORWARD whose codes are known."""
    at = {name: ORIGIN + offset for name, offset in REGISTERS.items()}
    script.expect(at["ID"], int.from_bytes(b"CTIL", "little"))
    script.expect(at["SIZE"], COLUMNS << 16 | ROWS)
    script.write(at["CONTROL"], 1 << 3 | 1)  # RAW_FORWARD, ARM
    script.write(at["IRQ_ENABLE"], 3)  # DONE, ERROR
    script.write(at["ROWS"], ROWS - 1 << 16)
    script.run("INIT")
    script.run("CALIBRATE")
    codes = [(37 * row + 11) & ROW_CODE_HIGH for row in range(ROWS - 1)]
    script.send(TO_ROWS, bytes(codes))
    script.run("FORWARD")
    cycles = [*codes, ROW_CODE_HIGH]  # the last row is the bias
    results = [cycles[column % ROWS] >> FORWARD_SHIFT for column in range(COLUMNS)]
    script.receive(b"".join(code.to_bytes(2, "little") for code in results))


BENCH = """\
module bench;
    reg clk = 0, rst = 1;
    always #10 clk = ~clk;
    reg [29:0] adr = 0;
    reg [31:0] dat_w = 0;
    wire [31:0] dat_r;
    reg cyc = 0, we = 0;
    wire ack, err;
    system system (
        .clk(clk), .rst(rst), .host_adr(adr), .host_dat_w(dat_w), .host_dat_r(dat_r),
        .host_sel(4'hF), .host_cyc(cyc), .host_stb(cyc), .host_ack(ack), .host_we(we),
        .host_cti(3'd0), .host_bte(2'd0), .host_err(err));

    reg [31:0] word;
    reg taken;
    task fail(input [31:0] address, input [31:0] wanted);
        begin
            $display("%h: got %h, expected %h%0s", address, word, wanted, err ? ", error" : "");
            $display("FAIL");
            $finish_and_return(1);
        end
    endtask
    // Signals change at the falling edge and are sampled at the rising one.
    task transfer(input [31:0] address, input [31:0] data, input writes);
        begin
            @(negedge clk);
            adr = address[31:2]; dat_w = data; we = writes; cyc = 1; taken = 0;
            while (!taken) begin
                @(posedge clk);
                taken = ack; word = dat_r;
                if (err === 1'b1) fail(address, data);
                @(negedge clk);
            end
            cyc = 0;
        end
    endtask
    task write(input [31:0] address, input [31:0] data);
        transfer(address, data, 1);
    endtask
    task expect_word(input [31:0] address, input [31:0] mask, input [31:0] wanted);
        begin
            transfer(address, 0, 0);
            if ((word & mask) !== (wanted & mask)) fail(address, wanted);
        end
    endtask
    task wait_for(input [31:0] address, input [31:0] mask, input [31:0] wanted);
        integer tries;
        begin
            tries = 0; word = ~wanted;
            while ((word & mask) !== (wanted & mask)) begin
                transfer(address, 0, 0);
                tries = tries + 1;
                if (tries == 100000) fail(address, wanted);
            end
        end
    endtask
    initial begin
        repeat (8) @(negedge clk);
        rst = 0;
        repeat (8) @(negedge clk);
        SCRIPT
        $display("PASS");
        $finish_and_return(0);
    end
endmodule
"""


class Platform(GenericPlatform):
    """No board: the host's bus, clock and reset are ports of the system."""

    def __init__(self, folder):
        host = wishbone.Interface(data_width=32, adr_width=30).get_ios("host")
        super().__init__("none", [("clk", 0, Pins(1)), ("rst", 0, Pins(1)), *host], name="system")
        self.folder = folder

    def build(self, system, build_name, **_):
        self.finalize(system)
        # Written for synthesis (regular_comb), the bridge never settles in Icarus.
        verilog = self.get_verilog(system.get_fragment(), name=build_name, regular_comb=False)
        verilog.write(str(self.folder / "system.v"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, type=Path, help="folder to fill")
    out = parser.parse_args().out.resolve()
    if shutil.which("iverilog") is None:
        parser.error("iverilog is not on PATH: install Icarus Verilog")
    out.mkdir(parents=True, exist_ok=True)

    builder = Builder(System(Platform(out)), output_dir=str(out), compile_software=False)
    builder.build()
    registers = json.loads((out / "csr.json").read_text())["csr_registers"]
    script = Script({name: register["addr"] for name, register in registers.items()})
    bring_up(script)
    (out / "bench.v").write_text(BENCH.replace("SCRIPT", "\n        ".join(script.lines)))

    sources = [out / "bench.v", out / "system.v", VERILOG / f"{MODULE}.v", VERILOG / f"{STUB}.v"]
    subprocess.run(["iverilog", "-g2005", "-s", "bench", "-o", out / "bench", *sources], check=True)
    return subprocess.run(["vvp", "-n", out / "bench"]).returncode


if __name__ == "__main__":
    sys.exit(main())
'''
