"""Benches that drive the Verilog of a tile on Verilator, through cocotb."""
