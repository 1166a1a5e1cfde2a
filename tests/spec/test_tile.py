"""The tile's specification: what is legal, what derives from what, and the presets."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from golden.analog.parameters import DeviceParameters
from golden.training.config import Config
from spec.errors import InputError
from spec.parameter import TAGS, leaves, override
from spec.presets import PRESETS, preset
from spec.tile import SET_STEP_CODES, TileSpec, TimingSpec


def tile(**settings: Any) -> TileSpec:
    return override(TileSpec(), {name: str(value) for name, value in settings.items()})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"slots": 48}, "slots=48: give a power of two (2, 4, 8, 16, 32, 64 or 128)"),
        ({"slots": 256}, "slots=256: give a value from 2 to 128"),
        ({"pwm_bits": 9}, "pwm_bits=9: give a value from 2 to 8"),
        ({"rows": 0}, "rows=0: give a value from 1 to 2049"),
        (
            {"stream_mode": "random"},
            "stream_mode=random: choose one of low_discrepancy, stochastic",
        ),
        (
            {"pwm_bits": 2, "segments_log2": 4},
            "segments_log2=4: give at most 3, or raise forward_bits and pwm_bits",
        ),
        (
            {"forward_bits": 5, "segments_log2": 5},
            "segments_log2=5: give at most 4, or raise forward_bits and pwm_bits",
        ),
        ({"chopper": "odd"}, "chopper=odd: choose one of alternate, random"),
        (
            {"chopper": "random", "polarity_inversion": "false"},
            "chopper=random: needs polarity_inversion; set it true, or chopper=alternate",
        ),
        ({"set_step_max_ns": 1}, "set_step_max_ns: give a value of at least set_step_min_ns"),
        (
            {"c_max": 4000},
            "c_max=4000: READ holds codes up to 2047; lower c_max or raise read_bits",
        ),
        (
            {"c_max": 1536, "set_shift": 2},
            "set_shift=2: c_max=1536 needs more than 256 table entries; raise set_shift",
        ),
        (
            {"trim_gain": 94, "prog_tol": 32, "trim_limit": 1},
            "trim_limit=1: the trim reaches 16 READ codes, 2 offset + prog_tol is 32; "
            "raise trim_limit or slots",
        ),
        (
            {"trim_gain": 94, "prog_tol": 32, "offset": 34, "trim_limit": 6},
            "trim_limit=6: the trim reaches 98 READ codes, 2 offset + prog_tol is 100; "
            "raise trim_limit or slots",
        ),
    ],
)
def test_an_illegal_tile_is_one_line_that_says_what_to_change(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        tile(**settings)
    assert str(caught.value) == message


def test_a_trim_that_just_reaches_is_legal_and_so_is_none_at_all() -> None:
    assert tile(trim_gain=94, prog_tol=32, offset=33, trim_limit=6).trim_reach == 98 == 2 * 33 + 32
    assert tile(trim_gain=94, trim_limit=0).trim_reach == 0
    assert tile(trim_gain=94, trim_limit=1, program_pcm="false").trim_reach == 16


def test_one_row_is_legal() -> None:
    assert tile(rows=1, columns=1).rows == 1


def test_widths_derive_from_the_fields() -> None:
    spec = tile(pwm_bits=6, column_bits=5, forward_bits=8, backward_bits=10, read_bits=11)
    codes = (spec.row_code, spec.column_code, spec.forward_code, spec.backward_code)
    assert [(code.low, code.high) for code in (*codes, spec.weight_code)] == [
        (0, 63),
        (-31, 31),
        (-128, 127),
        (-512, 511),
        (-1024, 1023),
    ]
    assert spec.converters.read_lsb_log2 == 1 - 10


@pytest.mark.parametrize("slots", [2, 4, 8, 16, 32, 64, 128])
def test_slot_bits(slots: int) -> None:
    assert 1 << tile(slots=slots).update.slot_bits == slots


def test_a_set_ramp_is_eight_steps_log_spaced_between_the_found_ends() -> None:
    ramp = TimingSpec().set_ramp_ns
    assert (len(ramp), ramp[0], ramp[-1]) == (SET_STEP_CODES, 14, 4400)
    assert list(ramp) == sorted(ramp)
    middle = 8 * (Decimal("1.7") * Decimal("550")).sqrt()
    assert ramp[127] <= middle <= ramp[128]


@pytest.mark.parametrize("name", ["tiny", "small", "paper"])
def test_a_preset_is_valid_and_resolved(name: str) -> None:
    spec = preset(name)
    assert replace(spec) == spec
    needed = 2 * spec.transfer.offset + spec.transfer.prog_tol
    assert spec.trim_reach >= needed
    assert 0 < spec.set_table_entries <= SET_STEP_CODES


def test_presets_carry_the_values_that_derive_from_the_default_devices() -> None:
    derived = Config().resolved().tile.transfer
    paper = preset("paper").transfer
    assert (paper.c_max, paper.trim_gain) == (derived.c_max, derived.trim_gain)


def test_the_paper_preset_is_the_first_layer_of_the_paper() -> None:
    spec = preset("paper")
    assert (spec.rows, spec.columns, spec.converters.lanes) == (529, 250, 8)
    assert set(PRESETS) == {"tiny", "small", "paper"}


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"^preset huge: choose one of tiny, small, paper$"):
        preset("huge")


def test_every_parameter_has_a_sentence_a_tag_and_where_found_a_source() -> None:
    for path, (_, facts) in leaves(Config()).items():
        assert facts.metadata["doc"], path
        assert facts.metadata["tag"] in TAGS, path
        if facts.metadata["tag"] == "found":
            assert facts.metadata["source"], f"{path} is tagged found without a source"


def test_names_that_other_programs_rely_on() -> None:
    tails = {path.split(".")[-1] for path in leaves(Config())}
    promised = {
        *("transfer_interval", "transfer_mode", "stream_mode", "slots", "pwm_bits"),
        *("up_down_mismatch", "step_spread", "leak_tau_ns", "reference", "significance_gain"),
        *("learning_rate", "read_noise", "stuck_fraction"),
    }
    assert promised <= tails, promised - tails


def test_a_step_is_refused_of_which_an_updates_slots_make_more_than_half_a_weight_unit() -> None:
    for slots, most in ((2, "0.0156"), (32, "0.0156"), (64, "0.0078"), (128, "0.0039")):
        override(Config(), {"slots": str(slots), "step": most})
    with pytest.raises(InputError) as caught:
        override(Config(), {"slots": "128", "step": "0.004"})
    message = "step=0.004: with 128 slots give at most 0.0039, or lower slots"
    assert str(caught.value) == message


def test_devices_refuse_what_does_not_fit_together() -> None:
    with pytest.raises(InputError, match="direct_update: needs pcm_model=set_pulse"):
        override(DeviceParameters(), {"direct_update": "true"})
    with pytest.raises(InputError, match="reset_uS: the set_pulse model starts above 0"):
        override(DeviceParameters(), {"pcm_model": "set_pulse", "reset_uS": "0"})
