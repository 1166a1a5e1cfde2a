"""`crosstile scaling`: how a tile's area, clock and tool time grow with its rows and columns."""
