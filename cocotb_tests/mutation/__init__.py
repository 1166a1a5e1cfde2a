"""Mutation testing: damaged tiles that the benches must find. `make mutate` runs it.

The Verilog of a small tile (`design`) is damaged in some hundred places, drawn once (`draw`,
mutants.json) and put in one netlist with a select input (`netlist`). Each mutant goes through a
short closed loop and the scripts of the equivalence suite (`scripts`), until something kills it;
`equivalent` proves that others are no damage at all. `campaign` runs all that, `report` tells.

What kills a mutant stands in the suite, never here: a survivor that shows a gap gets a script.
"""
