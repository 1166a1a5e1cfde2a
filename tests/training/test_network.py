"""A network: what of it is state, and what a run says of its layers."""

from __future__ import annotations

import numpy as np
import pytest

from golden.training.config import configure, layer_specs
from golden.training.network import Network
from spec.errors import InputError


def test_the_codes_of_a_journal_are_in_the_digest_only_while_it_is_valid() -> None:
    network = Network(configure("ideal", {}), [3, 2, 2], 1)
    journal = network.tiles[1].controller.transfers.journal
    blank = network.digest()
    journal.codes = np.array([5, -7])
    assert network.digest() == blank
    assert network.tiles[1].state()["journal_codes"].tolist() == [5, -7], "a checkpoint keeps them"
    journal.valid = True
    written = network.digest()
    journal.codes = np.zeros(2, np.int64)
    assert len({blank, written, network.digest()}) == 3


@pytest.mark.parametrize("name", ["column_gain_log2", "tile.weight_unit_log2"])
def test_what_a_run_has_by_layer_is_not_taken_from_the_template(name: str) -> None:
    with pytest.raises(InputError, match=f"^--set {name}: give .*s_log2, a number a layer$"):
        configure("ideal", {name: "-1"})


def test_a_list_by_layer_goes_from_the_output_back_and_its_last_repeats() -> None:
    settings = {"weight_units_log2": "-1,-3", "column_gains_log2": "0"}
    specs = layer_specs(configure("ideal", settings), [9, 4, 4, 3])
    assert [spec.weight_unit_log2 for spec in specs] == [-3, -3, -1]
    assert [spec.column_gain_log2 for spec in specs] == [0, 0, 0]
    with pytest.raises(InputError, match=r"^weight_units_log2=x: give whole numbers like 0,0,1$"):
        configure("ideal", {"weight_units_log2": "x"})
