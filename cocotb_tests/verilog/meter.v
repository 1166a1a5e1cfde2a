// The digital face of an array macro, at the pins of a tile. It answers each request in the next
// cycle, measures every line in every cycle, reports each boundary event once, and names the first
// rule of the pins that the tile breaks. It trusts nothing, and holds no analog value: codes of a
// conversion come from whoever models the array, with the number of the event that asked for them.
//
// `events` counts; with it change `kind` (a phase, or FAULT) and what was captured of it. Drive
// phases and IDLE are reported when the request falls, strobes and conversions when it rises. The
// REPEATS conversions of a READ are one event: its first asks for the codes of all.
module crosstile_meter #(
    parameter ROWS = 1,
    parameter COLUMNS = 1,
    parameter LANES = 1,
    parameter RAW_BITS = 1,
    parameter PWM_BITS = 8,
    parameter COLUMN_BITS = 7,
    parameter SLOTS = 32,
    parameter STEP_BITS = 8,
    parameter ROW_SELECT_BITS = 1,
    parameter COLUMN_SELECT_BITS = 1,
    parameter SYNCHRONISER_FLOPS = 0,
    parameter REPEATS = 1,
    parameter CODES = 1 // of a side, or of a READ's repeats, each in whole groups of lanes; the most
) (
    input wire clk,
    input wire aresetn,
    // the tile's pins
    input wire clear,
    input wire request,
    input wire [3:0] phase,
    input wire [ROWS-1:0] row_pulse,
    input wire [COLUMNS-1:0] column_pulse,
    input wire [COLUMNS-1:0] column_sign,
    input wire lower_swap,
    input wire [ROWS-1:0] row_lower_swap,
    input wire [ROW_SELECT_BITS-1:0] row_select,
    input wire [1:0] pair,
    input wire [COLUMNS-1:0] column_enable,
    input wire [COLUMNS-1:0] column_select,
    input wire set_write,
    input wire [COLUMN_SELECT_BITS-1:0] set_column,
    input wire [STEP_BITS-1:0] set_code,
    input wire set_minus,
    input wire convert_hold,
    output reg ready,
    output reg convert_valid,
    output reg [LANES*RAW_BITS-1:0] convert_codes,
    // the array's model
    input wire [31:0] answered, // the event whose `codes` these are
    input wire [CODES*RAW_BITS-1:0] codes,
    output reg [31:0] events,
    output reg [3:0] kind,
    output reg [3:0] fault,
    output reg [31:0] cycles, // of a window, or of IDLE
    output reg [ROW_SELECT_BITS-1:0] event_row,
    output reg [1:0] event_pair,
    output reg event_swap,
    output reg [PWM_BITS*ROWS-1:0] row_counts, // bit k of every row, then bit k + 1
    output reg [COLUMN_BITS*COLUMNS-1:0] column_counts,
    output reg [SLOTS*ROWS-1:0] row_words, // every row in slot 0, then in slot 1
    output reg [SLOTS*COLUMNS-1:0] column_words,
    output reg [COLUMNS-1:0] signs,
    output reg [ROWS-1:0] swaps,
    output reg [COLUMNS-1:0] selected,
    output reg [COLUMNS-1:0] enabled,
    output reg [STEP_BITS*COLUMNS-1:0] set_codes,
    output reg [COLUMNS-1:0] set_minuses
);
    // spec.commands.Phase
    localparam IDLE = 4'd0, FORWARD = 4'd1, BACKWARD = 4'd2, UPDATE = 4'd3, READ = 4'd4;
    localparam PRECHARGE = 4'd5, RESET = 4'd6, SET = 4'd7;
    localparam CONVERT_FORWARD = 4'd8, CONVERT_BACKWARD = 4'd9, CONVERT_READ = 4'd10;
    localparam FAULT = 4'd15;
    // rules; cocotb_tests/closed_loop/pins.py has their sentences
    localparam DRIVEN_AT_REST = 4'd1, DRIVEN_EARLY = 4'd2, DRIVEN_LATE = 4'd3, MOVED = 4'd4;
    localparam NOT_ONE_PIECE = 4'd5, CUT = 4'd6, LATCHED = 4'd7, CLEARED = 4'd8;
    localparam WRONG_SIDE = 4'd9, NO_PHASE = 4'd10, SIGN_MOVED = 4'd11, REPEATED = 4'd12;

    localparam FORWARD_CYCLES = (1 << PWM_BITS) - 1, READ_CYCLES = 1 << (PWM_BITS - 1);
    localparam BACKWARD_CYCLES = (1 << COLUMN_BITS) - 1;
    localparam ROW_GROUPS = (ROWS + LANES - 1) / LANES;
    localparam COLUMN_GROUPS = (COLUMNS + LANES - 1) / LANES;

    // the phase in hand: its selects as they were when the request rose
    reg open, asked, swap_then;
    reg [3:0] phase_then;
    reg [1:0] pair_then;
    reg [ROW_SELECT_BITS-1:0] row_then;
    reg [ROWS-1:0] swaps_then;
    reg [COLUMNS-1:0] select_then, sign_then;
    reg [2:0] settled; // cycles with ready, up to when the lines may be driven
    reg [31:0] cycle, group;
    reg [31:0] repeated; // conversions of a READ begun, up to its last
    reg [31:0] place; // of the next group, in `codes`

    // bit k of the cycles that each line was high; what it showed a cycle before; words by slot
    reg [ROWS-1:0] row_plane [0:PWM_BITS-1];
    reg [COLUMNS-1:0] column_plane [0:COLUMN_BITS-1];
    reg [ROWS-1:0] row_slot [0:SLOTS-1], row_before, row_carry, row_next;
    reg [COLUMNS-1:0] column_slot [0:SLOTS-1], column_before, column_carry, column_next;

    wire drives = phase == FORWARD || phase == BACKWARD || phase == UPDATE || phase == READ;
    wire strobes = phase == PRECHARGE || phase == RESET || phase == SET;
    wire converts = phase == CONVERT_FORWARD || phase == CONVERT_BACKWARD || phase == CONVERT_READ;
    wire high = (|row_pulse) || (|column_pulse);
    wire moved = phase != phase_then || lower_swap != swap_then || pair != pair_then
        || row_select != row_then || row_lower_swap != swaps_then || column_select != select_then;
    wire [31:0] window = phase_then == FORWARD ? FORWARD_CYCLES
        : phase_then == BACKWARD ? BACKWARD_CYCLES
        : phase_then == READ ? READ_CYCLES : SLOTS;
    wire [31:0] groups = phase == CONVERT_BACKWARD ? ROW_GROUPS : COLUMN_GROUPS;
    wire drove = phase_then == FORWARD || phase_then == BACKWARD || phase_then == UPDATE
        || phase_then == READ;

    reg report, broken;
    reg [3:0] rule;
    integer k;

    always @(posedge clk)
        if (!aresetn) begin
            ready <= 0; convert_valid <= 0; convert_codes <= 0;
            events <= 0; kind <= IDLE; fault <= 0; cycles <= 0;
            event_row <= 0; event_pair <= 0; event_swap <= 0;
            row_counts <= 0; column_counts <= 0; row_words <= 0; column_words <= 0;
            signs <= 0; swaps <= 0; selected <= 0; enabled <= 0; set_codes <= 0; set_minuses <= 0;
            open <= 0; asked <= 0; settled <= 0; cycle <= 0; group <= 0; repeated <= 0; place <= 0;
        end else begin
            report = 0; broken = 0; rule = 0;
            convert_valid <= 0;
            if (set_write) begin
                set_codes[set_column*STEP_BITS +: STEP_BITS] <= set_code;
                set_minuses[set_column] <= set_minus;
                if (request) begin broken = 1; rule = LATCHED; end
            end
            if (request && !open) begin
                // a phase begins
                open <= 1; settled <= 0; cycle <= 0; group <= 0;
                phase_then <= phase; swap_then <= lower_swap; pair_then <= pair;
                row_then <= row_select; swaps_then <= row_lower_swap; select_then <= column_select;
                row_before <= {ROWS{1'b1}}; column_before <= {COLUMNS{1'b1}};
                for (k = 0; k < PWM_BITS; k = k + 1) row_plane[k] <= 0;
                for (k = 0; k < COLUMN_BITS; k = k + 1) column_plane[k] <= 0;
                enabled <= column_enable;
                if (high) begin broken = 1; rule = DRIVEN_EARLY; end
                else if (!(drives || strobes || converts || phase == IDLE)) begin
                    broken = 1; rule = NO_PHASE;
                end
                ready <= drives || strobes;
                asked <= converts;
                report = strobes || (converts && repeated == 0);
                if (repeated == 0) place <= 0;
                if (phase == CONVERT_READ) begin
                    // a READ holds its integrators up to its last conversion
                    if (convert_hold != (repeated < REPEATS - 1)
                        || (repeated != 0 && column_enable != enabled)) begin
                        broken = 1; rule = REPEATED;
                    end
                    repeated <= repeated == REPEATS - 1 ? 0 : repeated + 1;
                end else if (repeated != 0) begin broken = 1; rule = REPEATED; end
                if (phase == IDLE) cycle <= 1;
            end else if (request) begin
                // and goes on
                if (moved) begin broken = 1; rule = MOVED; end
                if (!drives) begin
                    if (high) begin broken = 1; rule = DRIVEN_LATE; end
                end else if (settled <= SYNCHRONISER_FLOPS) begin
                    if (high) begin broken = 1; rule = DRIVEN_EARLY; end
                    if (ready) settled <= settled + 1;
                end else if (cycle == window) begin
                    if (high) begin broken = 1; rule = DRIVEN_LATE; end
                end else begin
                    cycle <= cycle + 1;
                    row_before <= row_pulse; column_before <= column_pulse;
                    if (cycle == 0) sign_then <= column_sign;
                    else if (column_sign != sign_then) begin broken = 1; rule = SIGN_MOVED; end
                    if (phase == UPDATE) begin
                        row_slot[cycle] <= row_pulse;
                        column_slot[cycle] <= column_pulse;
                    end else begin
                        if ((|(row_pulse & ~row_before)) || (|(column_pulse & ~column_before)))
                            begin broken = 1; rule = NOT_ONE_PIECE; end
                        if (phase == BACKWARD ? (|row_pulse) : (|column_pulse))
                            begin broken = 1; rule = WRONG_SIDE; end
                        row_carry = row_pulse; column_carry = column_pulse;
                        for (k = 0; k < PWM_BITS; k = k + 1) begin
                            row_next = row_plane[k];
                            row_plane[k] <= row_next ^ row_carry;
                            row_carry = row_carry & row_next;
                        end
                        for (k = 0; k < COLUMN_BITS; k = k + 1) begin
                            column_next = column_plane[k];
                            column_plane[k] <= column_next ^ column_carry;
                            column_carry = column_carry & column_next;
                        end
                    end
                end
                if (phase == IDLE) cycle <= cycle + 1;
                if (asked && answered == events && group < groups) begin
                    convert_valid <= 1;
                    convert_codes <= codes[place*LANES*RAW_BITS +: LANES*RAW_BITS];
                    group <= group + 1;
                    place <= place + 1;
                end
            end else begin
                ready <= 0;
                if (high) begin broken = 1; rule = DRIVEN_AT_REST; end
                if (open) begin
                    // and ends
                    open <= 0; asked <= 0;
                    report = drove || phase_then == IDLE;
                    if (drove && cycle != window) begin broken = 1; rule = CUT; end
                    if (asked && group != (phase_then == CONVERT_BACKWARD ? ROW_GROUPS
                        : COLUMN_GROUPS)) begin broken = 1; rule = CUT; end
                    for (k = 0; k < PWM_BITS; k = k + 1)
                        row_counts[k*ROWS +: ROWS] <= row_plane[k];
                    for (k = 0; k < COLUMN_BITS; k = k + 1)
                        column_counts[k*COLUMNS +: COLUMNS] <= column_plane[k];
                    if (phase_then == UPDATE)
                        for (k = 0; k < SLOTS; k = k + 1) begin
                            row_words[k*ROWS +: ROWS] <= row_slot[k];
                            column_words[k*COLUMNS +: COLUMNS] <= column_slot[k];
                        end
                end
            end
            if (clear && (open || request)) begin broken = 1; rule = CLEARED; end
            if (broken && fault == 0) begin
                fault <= rule;
                report = 1;
            end
            if (report) begin
                events <= events + 1;
                kind <= broken ? FAULT : open && !request ? phase_then : phase;
                cycles <= cycle;
                event_row <= row_select; event_pair <= open ? pair_then : pair;
                event_swap <= open ? swap_then : lower_swap;
                if (open) event_row <= row_then;
                signs <= sign_then; swaps <= swaps_then; selected <= column_select;
            end
        end
endmodule
