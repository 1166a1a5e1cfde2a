"""A test bench in plain Verilog that checks itself: the tile, the stub of its array, a host.

What the programmer's guide does at bring-up, over the tile's own ports, then FORWARDs whose codes
the stub's loopback makes known. It prints PASS or FAIL; any simulator of Verilog 2005 runs it.
"""

from __future__ import annotations

from rtl.macro_stub import forward_shift, stub_name
from rtl.top import module_name
from spec.commands import Command, Destination, Error
from spec.ports import MACRO, PORTS
from spec.registers import ADDRESS_BITS, IDENTITY, registers
from spec.tile import TileSpec

PATIENCE_CYCLES = 1_000_000
"""A bench gives up after these, and `PATIENCE_LINE_CYCLES` for each conversion of a line: far more
than a tile that works needs, far less than one waits for a simulator."""
PATIENCE_LINE_CYCLES = 16


def name(spec: TileSpec) -> str:
    """Its module; the file is NAME.v."""
    return f"{module_name(spec)}_tb"


def text(spec: TileSpec) -> str:
    """The bench of a tile."""
    head = f"""\
// A test bench of {module_name(spec)} that checks itself. Files: {name(spec)}.f
module {name(spec)};
"""
    parts = [head, *_constants(spec), "", *_wires(spec), "", *_instances(spec), _BODY]
    return "\n".join(parts)


def _constants(spec: TileSpec) -> list[str]:
    table = {register.name: register for register in registers(spec)}
    conversions = (spec.rows + spec.columns) << spec.converters.calibration_log2
    numbers = {
        "ROWS": spec.rows,
        "COLUMNS": spec.columns,
        "AXIS_BYTES": spec.host.axis_bytes,
        "FULL_SCALE": spec.row_code.high,
        "FORWARD_SHIFT": forward_shift(spec),
        "PATIENCE_CYCLES": PATIENCE_CYCLES + PATIENCE_LINE_CYCLES * conversions,
        "TO_ROWS": int(Destination.ROWS),
        "NOT_ARMED": int(Error.NOT_ARMED),
    }
    words = {
        "IS_ID": IDENTITY,
        "IS_VERSION": table["VERSION"].reset,
        "IS_SIZE": table["SIZE"].reset,
        "UNARMED": table["CONTROL"].pack(RAW_FORWARD=1),
        "ARMED": table["CONTROL"].pack(RAW_FORWARD=1, ARM=1),
        "INTERRUPTS": table["IRQ_ENABLE"].pack(DONE=1, ERROR=1),
        "ALL_ROWS": table["ROWS"].pack(FIRST=0, LAST=spec.rows - 1),
        "UNKNOWN": table["STATUS"].pack(UNKNOWN=1),
        "CALIBRATED": table["STATUS"].pack(CALIBRATED=1),
        "COMMAND_ERROR": table["ERROR"].pack(COMMAND_ERROR=255),
    }
    words |= {
        command.name: table["COMMAND"].pack(OPCODE=command)
        for command in (Command.INIT, Command.CALIBRATE, Command.FORWARD)
    }
    used = "ID VERSION SIZE CONTROL COMMAND STATUS ERROR ROWS IRQ_ENABLE IRQ_PENDING".split()
    lines = [f"    localparam {name} = {value};" for name, value in numbers.items()]
    lines += [f"    localparam [31:0] {name} = 32'h{word:08X};" for name, word in words.items()]
    lines += [
        f"    localparam [{ADDRESS_BITS - 1}:0] AT_{name} = {ADDRESS_BITS}'h{offset:03X};"
        for name, offset in ((name, table[name].offset) for name in used)
    ]
    return lines


def _wires(spec: TileSpec) -> list[str]:
    """The host's inputs to the tile are its to drive; the rest are wires."""
    lines = []
    for port in PORTS:
        driven = not port.output and not port.name.startswith(MACRO)
        kind, width = "reg" if driven else "wire", port.bits(spec)
        lines.append(f"    {kind} [{width - 1}:0] {port.name};")
    return lines


def _instances(spec: TileSpec) -> list[str]:
    pins = [port.name for port in PORTS if port.name.startswith(MACRO)]
    stub = ["aclk", "aresetn", *pins]
    joined = ",\n        ".join
    return [
        f"    {module_name(spec)} tile (",
        "        " + joined(f".{port.name}({port.name})" for port in PORTS),
        "    );",
        f"    {stub_name(spec)} stub (",
        "        " + joined([*(f".{pin}({pin})" for pin in stub), ".loopback(1'b1)"]),
        "    );",
    ]


# Inputs change at the falling edge of the clock and all is sampled at the rising one, so that no
# simulator's order of events matters.
_BODY = """
    reg [7:0] codes [0:ROWS-1];        // of the rows; the last, the bias, has none of its own
    reg [7:0] result [0:2*COLUMNS-1];  // a packet of m_axis
    integer taken;                     // its bytes
    reg ended;                         // its last beat was taken
    reg [31:0] word;
    integer row, column, round, lane;

    // The one way to end: under Icarus and Verilator a failure is an exit code too.
    task finish(input passed);
        begin
            if (passed) $display("PASS");
            else $display("FAIL");
`ifdef __ICARUS__
            $finish_and_return(passed ? 0 : 1);
`else
`ifdef VERILATOR
            if (!passed) $stop;
`endif
            $finish;
`endif
        end
    endtask

    task equal(input [31:0] got, input [31:0] wanted, input [8*24-1:0] what);
        if (got !== wanted) begin
            $display("%0s: got %0h, expected %0h", what, got, wanted);
            finish(0);
        end
    endtask

    task write_word(input [11:0] address, input [31:0] data);
        reg address_taken, data_taken, answered;
        begin
            s_axil_awaddr = address; s_axil_awvalid = 1;
            s_axil_wdata = data; s_axil_wvalid = 1;
            while (s_axil_awvalid || s_axil_wvalid) begin
                @(posedge aclk);
                address_taken = s_axil_awready; data_taken = s_axil_wready;
                @(negedge aclk);
                if (address_taken) s_axil_awvalid = 0;
                if (data_taken) s_axil_wvalid = 0;
            end
            s_axil_bready = 1; answered = 0;
            while (!answered) begin
                @(posedge aclk);
                answered = s_axil_bvalid;
                if (answered) equal(s_axil_bresp, 0, "answer to a write");
                @(negedge aclk);
            end
            s_axil_bready = 0;
        end
    endtask

    task read_word(input [11:0] address, output [31:0] data);
        reg gone;
        begin
            s_axil_araddr = address; s_axil_arvalid = 1; gone = 0;
            while (!gone) begin @(posedge aclk); gone = s_axil_arready; @(negedge aclk); end
            s_axil_arvalid = 0; s_axil_rready = 1; gone = 0;
            while (!gone) begin
                @(posedge aclk);
                gone = s_axil_rvalid; data = s_axil_rdata;
                if (gone) equal(s_axil_rresp, 0, "answer to a read");
                @(negedge aclk);
            end
            s_axil_rready = 0;
        end
    endtask

    // Starts a command and waits for its interrupt; its error is the answer.
    task run(input [31:0] command, input [31:0] wanted, input [8*24-1:0] what);
        begin
            write_word(AT_COMMAND, command);
            while (irq !== 1'b1) @(negedge aclk);
            write_word(AT_IRQ_PENDING, 32'hFFFFFFFF);
            read_word(AT_ERROR, word);
            equal(word & COMMAND_ERROR, wanted, what);
        end
    endtask

    // A packet of row codes; the bias row has none.
    task send_rows;
        integer first;
        reg gone;
        for (first = 0; first < ROWS - 1; first = first + AXIS_BYTES) begin
            s_axis_tdata = 0; s_axis_tkeep = 0;
            for (lane = 0; lane < AXIS_BYTES; lane = lane + 1)
                if (first + lane < ROWS - 1) begin
                    s_axis_tdata[8*lane +: 8] = codes[first + lane];
                    s_axis_tkeep[lane] = 1;
                end
            s_axis_tdest = TO_ROWS;
            s_axis_tlast = first + AXIS_BYTES >= ROWS - 1;
            s_axis_tvalid = 1; gone = 0;
            while (!gone) begin @(posedge aclk); gone = s_axis_tready; @(negedge aclk); end
            s_axis_tvalid = 0;
        end
    endtask

    // Results are taken in two cycles of three.
    reg [1:0] beat;
    always @(negedge aclk) begin
        beat = beat == 2 ? 0 : beat + 1;
        m_axis_tready = aresetn && beat != 2;
    end
    always @(posedge aclk)
        if (m_axis_tvalid === 1'b1 && m_axis_tready) begin
            for (column = 0; column < AXIS_BYTES; column = column + 1)
                if (m_axis_tkeep[column]) begin
                    if (taken < 2*COLUMNS) result[taken] = m_axis_tdata[8*column +: 8];
                    taken = taken + 1;
                end
            // It reads what it writes: else Verilator up to 5.030 keeps a copy that nobody sees.
            ended = ended || m_axis_tlast;
        end

    // In loopback a column's code is the cycles of one row: of row `column` modulo ROWS.
    task check_codes;
        integer line, of, wanted;
        begin
            while (!ended) @(negedge aclk);
            equal(taken, 2*COLUMNS, "bytes of a result");
            for (line = 0; line < COLUMNS; line = line + 1) begin
                of = line % ROWS;
                wanted = (of == ROWS - 1 ? FULL_SCALE : codes[of]) >> FORWARD_SHIFT;
                equal({result[2*line + 1], result[2*line]}, wanted, "code of a column");
            end
            taken = 0; ended = 0;
        end
    endtask

    initial aclk = 0;
    always #5 aclk = ~aclk;

    initial begin
        repeat (PATIENCE_CYCLES) @(posedge aclk);
        $display("no end after %0d cycles", PATIENCE_CYCLES);
        finish(0);
    end

    initial begin
        aresetn = 0; analog_safe = 0; beat = 0; taken = 0; ended = 0; m_axis_tready = 0;
        s_axil_awaddr = 0; s_axil_awprot = 0; s_axil_awvalid = 0; s_axil_wdata = 0;
        s_axil_wstrb = 4'hF; s_axil_wvalid = 0; s_axil_bready = 0; s_axil_araddr = 0;
        s_axil_arprot = 0; s_axil_arvalid = 0; s_axil_rready = 0; s_axis_tdata = 0;
        s_axis_tkeep = 0; s_axis_tlast = 0; s_axis_tdest = 0; s_axis_tvalid = 0;
        repeat (8) @(negedge aclk);
        aresetn = 1;
        @(negedge aclk);

        read_word(AT_ID, word); equal(word, IS_ID, "ID");
        read_word(AT_VERSION, word); equal(word, IS_VERSION, "VERSION");
        read_word(AT_SIZE, word); equal(word, IS_SIZE, "SIZE");

        write_word(AT_CONTROL, UNARMED);
        write_word(AT_IRQ_ENABLE, INTERRUPTS);
        write_word(AT_ROWS, ALL_ROWS);
        run(INIT, NOT_ARMED, "INIT while not armed");
        write_word(AT_CONTROL, ARMED);
        run(INIT, 0, "INIT");
        run(CALIBRATE, 0, "CALIBRATE");
        read_word(AT_STATUS, word);
        equal(word & (UNKNOWN | CALIBRATED), CALIBRATED, "STATUS");

        for (round = 0; round < 2; round = round + 1) begin
            for (row = 0; row < ROWS; row = row + 1)
                codes[row] = (37*row + 101*round + 11) & FULL_SCALE;
            send_rows;
            run(FORWARD, 0, "FORWARD");
            check_codes;
        end
        $display("%0d rows, %0d columns: every code is that of its row", ROWS, COLUMNS);
        finish(1);
    end
endmodule
"""
