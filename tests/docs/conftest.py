"""Without the hdl extra these tests are left out, by name."""

import pytest

pytest.importorskip("amaranth", reason="needs the hdl extra: pip install '.[hdl]'")
