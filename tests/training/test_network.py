"""The digest of a network: what is state, and what is not."""

from __future__ import annotations

import numpy as np

from golden.training.config import configure
from golden.training.network import Network


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
