"""Coverage of the tile: functional (`functional`), lines and toggles (`verilog`), `report`."""
