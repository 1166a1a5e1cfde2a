"""Mutation testing: damaged tiles that the benches must find.

The Verilog of a small tile (`design`) is damaged in some hundred places, drawn once (`draw`,
mutants.json) and put in one netlist with a select input (`netlist`).
"""
