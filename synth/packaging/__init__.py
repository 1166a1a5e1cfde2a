"""A tile's Verilog packaged for other people's flows: a file here for each of them.

`package.files` is all of it; `crosstile verilog` writes that beside the Verilog.
"""

from spec.registers import VERSION as REGISTER_MAP

VENDOR, LIBRARY = "crosstile", "tile"
VERSION = ".".join(map(str, REGISTER_MAP))
"""Vendor, library, module and version are a tile's name in IP-XACT, FuseSoC and Vivado alike. What
a system integrates is a register map, so the version is that of the map."""
