"""The golden model as compiled loops: the same integers, many times faster.

Each file mirrors the blocks it compiles. Equality with golden/digital and golden/analog is tested
on the digest of the whole state.
"""
