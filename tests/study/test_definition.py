"""A study's file says what it wants, or what is wrong with it in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosstile.study import definition
from golden.digital.learning_rate import threshold_scales
from golden.training.config import configure, layer_specs
from spec.errors import InputError
from spec.parameter import as_fraction

GOOD = """\
title = "A title"
seeds = 3
margin = 0.2
reference = { cell = "software" }
[run]
hidden = [4]
examples = 60
set = { slots = 16 }
[[axis]]
name = "cell"
points = [
    { label = "software", cell = "float", alone = true },
    { label = "golden", set = { drift = false } },
]
[[axis]]
name = "mismatch"
set = "up_down_mismatch"
values = [0, 0.1]
"""


def read(folder: Path, text: str) -> definition.Study:
    (folder / "mine.toml").write_text(text)
    return definition.read(str(folder / "mine.toml"))


def test_rows_are_all_combinations_and_points_change_the_run(tmp_path: Path) -> None:
    study = read(tmp_path, GOOD)
    rows = study.rows
    assert [[point.label for point in row] for row in rows] == [
        ["software", "any"], ["golden", "0"], ["golden", "0.1"],
    ]  # fmt: skip
    run = study.run(rows[2], 2)
    assert (run.cell, run.hidden, run.examples, run.seed) == ("pcm-3t1c", (4,), 60, 2)
    assert run.settings == {"slots": "16", "drift": "false", "up_down_mismatch": "0.1"}
    assert study.run(rows[0], 1).settings == {"slots": "16"}, "no other changes a point alone"
    assert study.reference_of(rows[2]) == study.reference_of(rows[1]) == rows[0]
    assert study.reference_of(rows[0]) is None
    assert (study.x, study.axes[1].numeric, study.axes[0].numeric) == ("mismatch", True, False)


def test_an_assumption_can_be_changed_where_no_axis_does(tmp_path: Path) -> None:
    study = definition.changed(read(tmp_path, GOOD), {"examples": 5}, {"up_down_mismatch": "0.3"})
    first, *_, last = study.rows
    assert study.run(first, 0).settings["up_down_mismatch"] == "0.3"
    assert study.run(last, 0).settings["up_down_mismatch"] == "0.1"
    assert study.run(last, 0).examples == 5


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('title = "A title"', "title = ", "not TOML"),
        ("seeds = 3", "seeds = 0", "seeds = 0: give a whole number from 1"),
        ("margin = 0.2", "margin = -1", "margin = -1: give a number above 0"),
        ("seeds = 3", "seed = 3", "seed: no such key; give one of title"),
        ("hidden = [4]", "hidden = 4", "run: hidden = 4: give a list"),
        ("examples = 60", 'examples = "60"', "run: examples = '60': give a int"),
        ("slots = 16", "slots = 7", "slots=7"),
        ("drift = false", "no_such = 1", "no_such: unknown parameter"),
        ('"software" }', '"hardware" }', "reference cell = 'hardware': no such axis and label"),
        ('cell = "float"', 'cell = "none"', "--cell none"),
        ("values = [0, 0.1]", "values = [0, 0]", "axis mismatch: give points, no two of one label"),
        ("values = [0, 0.1]", "", "axis mismatch: give points, or set and values"),
        ('name = "mismatch"', 'name = "cell"', "two axes of one name"),
        ("seeds = 3", "seeds = 3\nplot = { x = 'y' }", "plot.x = 'y': no such axis"),
        ("seeds = 3", "seeds = 3\nplot = 1", "plot: give a table"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_files_name(
    before: str, after: str, says: str, tmp_path: Path
) -> None:
    assert before in GOOD
    with pytest.raises(InputError) as error:
        read(tmp_path, GOOD.replace(before, after, 1))
    assert says in str(error.value)
    assert "mine.toml: " in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_and_a_name_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        definition.read(str(tmp_path / "none.toml"))
    with pytest.raises(InputError, match=r"give a \.toml file, or one of ablation"):
        definition.read("none")


@pytest.mark.parametrize("name", definition.names())
def test_the_packages_studies_are_good(name: str) -> None:
    study = definition.read(name)
    assert study.name == name
    assert study.title != name
    assert study.about
    assert study.reference
    for row in study.rows:
        run = study.run(row, 0)
        if run.cell == "float":
            continue
        config = configure(run.cell, dict(run.settings))
        rate = as_fraction(config.training.learning_rate)
        for spec in layer_specs(config, [9, *run.hidden, 3]):
            # It refuses a rate that the slots cannot give, which no other check of a point sees.
            threshold_scales(spec, config.step, rate)
