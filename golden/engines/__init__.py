"""Two engines, the same results bit for bit: numpy (readable) and compiled (fast)."""
