"""The closed loop: a network trained through the Verilog of its tiles, held against golden."""
