// Plays a recorded run at one tile of the bench, without Python: orders from a file, each boundary
// event held against the file's, converter codes from it. docs/trace.md has the file's format.
//
// `over` rises when all orders have been worked, or at the first difference, which is printed; then
// `failed` is high. Plain Verilog-2005: $fopen and $fscanf, one order in memory at a time.
`timescale 1ns / 1ps
module crosstile_player #(
    parameter FILE = "t0.hex",
    parameter TILE = 0,
    parameter ROWS = 1,
    parameter COLUMNS = 1,
    parameter PWM_BITS = 8,
    parameter COLUMN_BITS = 7,
    parameter SLOTS = 32,
    parameter STEP_BITS = 8,
    parameter CODE_BITS = 1, // of `codes`
    parameter SEND_BITS = 64,
    parameter RESULT_BITS = 64,
    parameter WRITES = 8,
    parameter READS = 8
) (
    input wire begins, // once aresetn is high
    output reg over,
    output reg failed,
    // to the bench
    output reg run,
    output reg [31:0] order,
    output reg [31:0] limit,
    output reg [7:0] write_count,
    output reg [WRITES*44-1:0] writes,
    output reg [15:0] send_bytes,
    output reg [1:0] send_destination,
    output reg [SEND_BITS-1:0] send_data,
    output reg waits,
    output reg expects,
    output reg [7:0] read_count,
    output reg [READS*12-1:0] read_addresses,
    output reg [31:0] answered,
    output reg [CODE_BITS-1:0] codes,
    // from the bench
    input wire [31:0] wake,
    input wire [31:0] done,
    input wire hung,
    input wire refused,
    input wire [31:0] events,
    input wire [3:0] kind,
    input wire [3:0] fault,
    input wire event_swap,
    input wire [1:0] event_pair,
    input wire [15:0] event_row,
    input wire [READS*32-1:0] values,
    input wire [RESULT_BITS-1:0] result,
    input wire [15:0] result_bytes,
    input wire [63:0] clocks,
    input wire [31:0] cycles,
    input wire [PWM_BITS*ROWS-1:0] row_counts,
    input wire [COLUMN_BITS*COLUMNS-1:0] column_counts,
    input wire [SLOTS*ROWS-1:0] row_words,
    input wire [SLOTS*COLUMNS-1:0] column_words,
    input wire [COLUMNS-1:0] signs,
    input wire [ROWS-1:0] swaps,
    input wire [COLUMNS-1:0] selected,
    input wire [COLUMNS-1:0] enabled,
    input wire [STEP_BITS*COLUMNS-1:0] set_codes,
    input wire [COLUMNS-1:0] set_minuses
);
    // spec.commands.Phase
    localparam IDLE = 4'd0, FORWARD = 4'd1, BACKWARD = 4'd2, UPDATE = 4'd3, READ = 4'd4;
    localparam PRECHARGE = 4'd5, RESET = 4'd6, SET = 4'd7;
    localparam CONVERT_FORWARD = 4'd8, CONVERT_BACKWARD = 4'd9, CONVERT_READ = 4'd10;

    localparam WIDE = (PWM_BITS > SLOTS ? PWM_BITS : SLOTS) * ROWS
        + ((COLUMN_BITS > SLOTS ? COLUMN_BITS : SLOTS) + STEP_BITS) * COLUMNS
        + SEND_BITS + RESULT_BITS + READS * 32;
    localparam NAME = 48; // letters

    integer file, read, number, event_count, place, k;
    reg [31:0] seen;
    reg check_values, check_result;
    reg [READS*32-1:0] right_values;
    reg [15:0] right_bytes;
    reg [RESULT_BITS-1:0] right_result;
    reg [8*NAME-1:0] operation;
    // the event that must come
    reg [3:0] right_kind;
    reg [15:0] right_row;
    reg [1:0] right_pair;
    reg right_swap;
    reg [31:0] right_cycles;
    reg [WIDE-1:0] right_rows, right_columns; // as the meter has them
    reg [COLUMNS-1:0] right_bits, right_minus, pulsed;
    reg [ROWS-1:0] right_swaps;
    reg [CODE_BITS-1:0] right_codes;

    function [8*20-1:0] event_name(input [3:0] of);
        case (of)
            IDLE: event_name = "wait";
            FORWARD: event_name = "integrate_columns";
            BACKWARD: event_name = "integrate_rows";
            UPDATE: event_name = "update";
            READ: event_name = "integrate_read";
            PRECHARGE: event_name = "precharge";
            RESET: event_name = "reset";
            SET: event_name = "set";
            CONVERT_FORWARD: event_name = "convert_forward";
            CONVERT_BACKWARD: event_name = "convert_backward";
            CONVERT_READ: event_name = "convert_read";
            default: event_name = "no_event";
        endcase
    endfunction

    task say_rule;
        case (fault)
            1: $display("     a line is driven without a request");
            2: $display("     a line is driven before the array is ready");
            3: $display("     a line is driven after its window, or in a phase that drives none");
            4: $display("     a select or a swap moves within a phase");
            5: $display("     a pulse is not one piece from the first cycle of its window");
            6: $display("     a phase ends before its window or its last conversion");
            7: $display("     a step code is latched within a phase");
            8: $display("     the integrators are cleared within a phase");
            9: $display("     a phase drives lines of the other side");
            10: $display("     a request for a phase that there is not");
            11: $display("     a column's sign moves within a window");
            12: $display("     a READ's conversions are not all of its own, or hold wrongly");
            default: $display("     a rule that this player does not know");
        endcase
    endtask

    // The head of every difference; what differs follows on its line.
    task fail;
        begin
            failed = 1;
            $write("FAIL tile %0d, order %0d (%0s), event %0d of %0d, cycle %0d: ", TILE, number,
                operation, place, event_count, clocks);
        end
    endtask

    task same(input [8*20-1:0] what, input [WIDE-1:0] right, input [WIDE-1:0] got);
        if (!failed && right !== got) begin
            fail;
            $display("%0s of %0s: expected %0h, got %0h", what, event_name(right_kind), right, got);
        end
    endtask

    // `lines` lines, bit k of all of them, then bit k + 1
    task same_lines(
        input [8*20-1:0] what, input integer lines, input integer planes,
        input [WIDE-1:0] right, input [WIDE-1:0] got
    );
        integer line, plane;
        reg [31:0] a, b;
        if (!failed && right !== got)
            for (line = 0; line < lines; line = line + 1) begin
                a = 0;
                b = 0;
                for (plane = 0; plane < planes; plane = plane + 1) begin
                    a[plane] = right[plane*lines + line];
                    b[plane] = got[plane*lines + line];
                end
                if (!failed && a !== b) begin
                    fail;
                    $display("%0s of %0s, line %0d: expected %0h, got %0h", what,
                        event_name(right_kind), line, a, b);
                end
            end
    endtask

    task check_event;
        begin
            if (fault !== 0) begin
                fail;
                $display("expected %0s, got a broken rule of the pins:", event_name(right_kind));
                say_rule;
            end else if (place >= event_count) begin
                fail;
                $display("expected no event, got %0s", event_name(kind));
            end else begin
                read = $fscanf(file, " %h %h %h %h %h %h %h %h %h %h %h\n", right_kind, right_row,
                    right_pair, right_swap, right_cycles, right_rows, right_columns, right_bits,
                    right_minus, right_swaps, right_codes);
                if (read != 11) begin fail; $display("the file ends within an order"); end
                else if (kind !== right_kind) begin
                    fail;
                    $display("expected %0s, got %0s", event_name(right_kind), event_name(kind));
                end
                pulsed = 0;
                if (right_kind == UPDATE)
                    for (k = 0; k < SLOTS; k = k + 1)
                        pulsed = pulsed | right_columns[k*COLUMNS +: COLUMNS];
                else
                    for (k = 0; k < COLUMN_BITS; k = k + 1)
                        pulsed = pulsed | right_columns[k*COLUMNS +: COLUMNS];
                case (right_kind)
                    IDLE: same("cycles", right_cycles, cycles);
                    FORWARD: begin
                        same_lines("durations", ROWS, PWM_BITS, right_rows, row_counts);
                        same("lower_swap", right_swap, event_swap);
                    end
                    BACKWARD: begin
                        same_lines("durations", COLUMNS, COLUMN_BITS, right_columns, column_counts);
                        same_lines("signs", COLUMNS, 1, right_bits, signs & pulsed);
                        same_lines("row_lower_swap", ROWS, 1, right_swaps, swaps);
                    end
                    UPDATE: begin
                        same_lines("row_words", ROWS, SLOTS, right_rows, row_words);
                        same_lines("column_words", COLUMNS, SLOTS, right_columns, column_words);
                        same_lines("charge", COLUMNS, 1, right_bits, signs & pulsed);
                    end
                    READ: begin
                        same("row", right_row, event_row);
                        same("pair", right_pair, event_pair);
                        same("lower_swap", right_swap, event_swap);
                        same_lines("rows driven", ROWS, PWM_BITS, right_rows, row_counts);
                    end
                    PRECHARGE: same("row", right_row, event_row);
                    RESET: begin
                        same("row", right_row, event_row);
                        same_lines("active", COLUMNS, 1, right_bits, selected);
                    end
                    SET: begin
                        same("row", right_row, event_row);
                        same_lines("active", COLUMNS, 1, right_bits, selected);
                        same_lines("minus", COLUMNS, 1, right_minus, set_minuses & selected);
                        for (k = 0; k < COLUMNS; k = k + 1)
                            if (right_bits[k])
                                same("step_codes", right_columns[k*STEP_BITS +: STEP_BITS],
                                    set_codes[k*STEP_BITS +: STEP_BITS]);
                    end
                    CONVERT_FORWARD, CONVERT_READ:
                        same_lines("active", COLUMNS, 1, right_bits, enabled);
                    default: ;
                endcase
                place = place + 1;
                if (kind == CONVERT_FORWARD || kind == CONVERT_BACKWARD || kind == CONVERT_READ)
                begin
                    codes = right_codes;
                    answered = events;
                end
            end
        end
    endtask

    task check_answers;
        begin
            if (hung) begin fail; $display("no answer within %0d cycles", limit); end
            else if (refused) begin fail; $display("an access was answered with an error"); end
            else if (place < event_count) begin fail; $display("an event is missing"); end
            for (k = 0; k < READS; k = k + 1)
                if (!failed && check_values && k < read_count
                    && values[32*k +: 32] !== right_values[32*k +: 32])
                begin
                    fail;
                    $display("a read of address %0h: expected %0h, got %0h",
                        read_addresses[12*k +: 12], right_values[32*k +: 32], values[32*k +: 32]);
                end
            if (!failed && check_result && result_bytes !== right_bytes) begin
                fail;
                $display("bytes of the result: expected %0d, got %0d", right_bytes, result_bytes);
            end
            for (k = 0; k < RESULT_BITS / 8; k = k + 1)
                if (!failed && check_result && k < right_bytes
                    && result[8*k +: 8] !== right_result[8*k +: 8])
                begin
                    fail;
                    $display("byte %0d of the result: expected %0h, got %0h", k,
                        right_result[8*k +: 8], result[8*k +: 8]);
                end
        end
    endtask

    initial begin
        over = 0; failed = 0; run = 0; order = 0; limit = 0; write_count = 0; writes = 0;
        send_bytes = 0; send_destination = 0; send_data = 0; waits = 0; expects = 0;
        read_count = 0; read_addresses = 0; answered = 0; codes = 0;
        number = 0; event_count = 0; place = 0; seen = 0; operation = "no_order";
        file = $fopen(FILE, "r");
        if (file == 0) begin fail; $display("%0s cannot be read", FILE); end
        wait (begins);
        #1;
        while (!failed && !over) begin
            // `end` in place of a number ends the file
            read = $fscanf(file, " %d", number);
            if (read != 1) begin
                read = $fscanf(file, " %s", operation);
                if (read == 1 && operation == "end") over = 1;
                else begin fail; $display("the file ends without its end mark"); end
            end else begin
                read = $fscanf(file, " %s %h %h %h %h %h %h %h %h %h %h", operation, limit, waits,
                    expects, write_count, writes, send_bytes, send_destination, send_data,
                    read_count, read_addresses);
                read = read + $fscanf(file, " %h %h %h %h %h %d\n", check_values, right_values,
                    check_result, right_bytes, right_result, event_count);
                place = 0;
                if (read != 17) begin fail; $display("the file ends within an order"); end
                else begin
                    order = order + 1;
                    run = 1;
                    while (!failed && done !== order) begin
                        @(wake);
                        #1; // after the edge; what is given here is there before the next
                        if (events !== seen) begin
                            seen = events;
                            check_event;
                        end
                    end
                    run = 0;
                    if (!failed) check_answers;
                end
            end
        end
        over = 1;
    end
endmodule
