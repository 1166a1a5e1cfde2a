"""Physics: PCM, capacitors, cells, arrays, converters, on exact integer grids."""
