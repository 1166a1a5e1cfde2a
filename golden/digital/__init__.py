"""The tile's digital blocks in integer NumPy, bit-exact; the same file names as rtl/."""
