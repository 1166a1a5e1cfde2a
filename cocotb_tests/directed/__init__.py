"""Benches of a tile on Verilator for what no script says: failures, waits, packets of any beats."""
