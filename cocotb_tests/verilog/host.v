// A host of a tile: it works one order after the other. An order is up to WRITES register writes, a
// packet, the wait for the command's interrupt, up to READS register reads and the packet of
// results, in that order but for the packets, which go and come beside the rest.
//
// A new number in `order` starts one; `done` takes that number when all of it has happened, or when
// `limit` cycles have passed, which sets `hung`. Then the answers are there.
module crosstile_host #(
    parameter AXIS_BYTES = 8,
    parameter SEND_BYTES = 8,   // of the longest packet, in whole beats
    parameter RESULT_BYTES = 8, // of the longest result, in whole beats
    parameter WRITES = 8,
    parameter READS = 8,
    parameter PENDING_ADDRESS = 12'h3C // IRQ_PENDING, cleared after the interrupt
) (
    input wire clk,
    input wire aresetn,
    // the order
    input wire [31:0] order,
    input wire [31:0] limit,
    input wire [7:0] write_count,
    input wire [WRITES*44-1:0] writes, // address and word
    input wire [15:0] send_bytes,
    input wire [1:0] send_destination,
    input wire [8*SEND_BYTES-1:0] send_data,
    input wire waits,
    input wire expects,
    input wire [7:0] read_count,
    input wire [READS*12-1:0] read_addresses,
    // its answers
    output reg [31:0] done,
    output reg hung,
    output reg refused, // an access was answered with an error
    output reg [READS*32-1:0] values,
    output reg [8*RESULT_BYTES-1:0] result,
    output reg [15:0] result_bytes,
    output reg [1:0] result_destination,
    output reg [63:0] clocks, // since aresetn
    // the tile
    input wire irq,
    output reg [11:0] s_axil_awaddr,
    output wire [2:0] s_axil_awprot,
    output reg s_axil_awvalid,
    input wire s_axil_awready,
    output reg [31:0] s_axil_wdata,
    output wire [3:0] s_axil_wstrb,
    output reg s_axil_wvalid,
    input wire s_axil_wready,
    input wire [1:0] s_axil_bresp,
    input wire s_axil_bvalid,
    output wire s_axil_bready,
    output reg [11:0] s_axil_araddr,
    output wire [2:0] s_axil_arprot,
    output reg s_axil_arvalid,
    input wire s_axil_arready,
    input wire [31:0] s_axil_rdata,
    input wire [1:0] s_axil_rresp,
    input wire s_axil_rvalid,
    output wire s_axil_rready,
    output wire [8*AXIS_BYTES-1:0] s_axis_tdata,
    output wire [AXIS_BYTES-1:0] s_axis_tkeep,
    output wire s_axis_tlast,
    output wire [1:0] s_axis_tdest,
    output wire s_axis_tvalid,
    input wire s_axis_tready,
    input wire [8*AXIS_BYTES-1:0] m_axis_tdata,
    input wire [AXIS_BYTES-1:0] m_axis_tkeep,
    input wire m_axis_tlast,
    input wire [1:0] m_axis_tdest,
    input wire m_axis_tvalid,
    output wire m_axis_tready
);
    localparam REST = 3'd0, WRITE = 3'd1, WAIT = 3'd2, CLEAR = 3'd3, READ = 3'd4, LAST = 3'd5;

    reg [2:0] state;
    reg [7:0] index;
    reg [31:0] spent;
    reg busy, received;
    reg [15:0] sent, taken;
    // the order's packet; the order may change when it is done
    reg [8*SEND_BYTES-1:0] packet;
    reg [15:0] packet_bytes;
    reg [1:0] packet_destination;
    integer k;

    assign s_axil_awprot = 0;
    assign s_axil_arprot = 0;
    assign s_axil_wstrb = 4'hF;
    assign s_axil_bready = 1;
    assign s_axil_rready = 1;
    assign m_axis_tready = 1;

    // the packet, a beat after the other
    wire [15:0] left = packet_bytes - sent;
    assign s_axis_tvalid = busy && sent < packet_bytes;
    assign s_axis_tlast = left <= AXIS_BYTES;
    assign s_axis_tkeep = left >= AXIS_BYTES ? {AXIS_BYTES{1'b1}} : ~({AXIS_BYTES{1'b1}} << left);
    assign s_axis_tdest = packet_destination;
    assign s_axis_tdata = packet[8*sent +: 8*AXIS_BYTES];

    reg write_open, read_open;

    always @(posedge clk)
        if (!aresetn) begin
            state <= REST; busy <= 0; done <= 0; hung <= 0; refused <= 0; index <= 0; spent <= 0;
            values <= 0; result <= 0; result_bytes <= 0; result_destination <= 0; clocks <= 0;
            s_axil_awvalid <= 0; s_axil_wvalid <= 0; s_axil_arvalid <= 0;
            s_axil_awaddr <= 0; s_axil_wdata <= 0; s_axil_araddr <= 0;
            write_open <= 0; read_open <= 0; sent <= 0; taken <= 0; received <= 0;
            packet <= 0; packet_bytes <= 0; packet_destination <= 0;
        end else begin
            clocks <= clocks + 1;
            if (s_axil_awready) s_axil_awvalid <= 0;
            if (s_axil_wready) s_axil_wvalid <= 0;
            if (s_axil_arready) s_axil_arvalid <= 0;
            if (s_axil_bvalid && s_axil_bresp != 0) refused <= 1;
            if (s_axil_rvalid && s_axil_rresp != 0) refused <= 1;
            if (s_axis_tvalid && s_axis_tready) sent <= sent + AXIS_BYTES;
            if (m_axis_tvalid) begin
                if (taken < RESULT_BYTES)
                    result[8*taken +: 8*AXIS_BYTES] <= m_axis_tdata;
                for (k = 0; k < AXIS_BYTES; k = k + 1)
                    if (m_axis_tkeep[k]) result_bytes <= taken + k + 1;
                result_destination <= m_axis_tdest;
                taken <= taken + AXIS_BYTES;
                if (m_axis_tlast) received <= 1;
            end
            case (state)
                REST: if (order != done && !busy) begin
                    busy <= 1; state <= WRITE; index <= 0; spent <= 0; refused <= 0;
                    sent <= 0; taken <= 0; received <= 0; result_bytes <= 0;
                    packet <= send_data;
                    packet_bytes <= send_bytes; packet_destination <= send_destination;
                end
                WRITE:
                    if (write_open) begin
                        if (s_axil_bvalid) begin write_open <= 0; index <= index + 1; end
                    end else if (index < write_count) begin
                        s_axil_awaddr <= writes[44*index+32 +: 12];
                        s_axil_wdata <= writes[44*index +: 32];
                        s_axil_awvalid <= 1; s_axil_wvalid <= 1; write_open <= 1;
                    end else begin
                        index <= 0;
                        state <= waits ? WAIT : READ;
                    end
                WAIT: if (irq) begin
                    s_axil_awaddr <= PENDING_ADDRESS; s_axil_wdata <= 32'hFFFFFFFF;
                    s_axil_awvalid <= 1; s_axil_wvalid <= 1;
                    state <= CLEAR;
                end
                CLEAR: if (s_axil_bvalid) state <= READ;
                READ:
                    if (read_open) begin
                        if (s_axil_rvalid) begin
                            read_open <= 0; index <= index + 1;
                            values[32*index +: 32] <= s_axil_rdata;
                        end
                    end else if (index < read_count) begin
                        s_axil_araddr <= read_addresses[12*index +: 12];
                        s_axil_arvalid <= 1; read_open <= 1;
                    end else
                        state <= LAST;
                LAST: if (sent >= packet_bytes && (received || !expects)) begin
                    busy <= 0; state <= REST; done <= order;
                end
                default: state <= REST;
            endcase
            if (busy) begin
                spent <= spent + 1;
                if (spent == limit) begin
                    busy <= 0; state <= REST; done <= order; hung <= 1;
                end
            end
        end
endmodule
