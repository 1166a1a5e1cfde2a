"""The tile's control in Amaranth: what becomes Verilog. Each block's twin is in golden/digital."""
