"""What the tile's design asks to be proven, line by line, and the properties that say it."""

from __future__ import annotations

PROMISES: list[tuple[str, str]] = [
    ("a row's bit changes at the flip, to the journal's p_new",
     "Transfers.bit_0_changes_by_flip_or_host Transfers.bit_1_changes_by_flip_or_host "
     "Transfers.changed_to_p_new Joined.a_bit_changes_by_flip_or_by_an_idle_host"),
    ("at most once between `valid` rising and falling", "Transfers.once_a_row"),
    ("it has been p_new at every commit",
     "Transfers.p_new_from_flip_to_commit Transfers.p_new_at_commit"),
    ("or by a host's write while idle without `valid`",
     "Joined.a_bit_changes_by_flip_or_by_an_idle_host Registers.no_state_written_while_busy "
     "Registers.no_polarity_journal_lfsr_written_while_incomplete"),
    ("the sign in FORWARD and UPDATE is that bit",
     "Drives.rows_driven_have_the_phases_polarity "
     "Drives.update_charges_where_d_is_positive_xor_swap "
     "Joined.polarity_and_mask_stand_in_a_phase"),
    ("in BACKWARD", "Drives.each_row_has_its_own_swap Drives.backward_signs_are_the_codes"),
    ("in READ",
     "Transfers.the_sign_of_read_and_trim_is_the_bit Commands.a_read_has_its_rows_polarity "
     "Joined.the_sign_of_a_read_and_a_trim_is_the_rows_bit"),
    ("in trim",
     "Programs.a_trim_charges_by_residual_xor_bit Drives.trim_charges_as_told "
     "Joined.the_sign_of_a_read_and_a_trim_is_the_rows_bit"),
    ("precharge or RESET implies `valid` for that row, or BRINGUP",
     "Transfers.a_strobe_only_on_the_row_of_the_journal "
     "Joined.a_strobe_is_on_the_row_of_the_journal_or_raw Commands.raw_access_needs_bringup "
     "Drives.a_strobe_is_on_its_row"),
    ("every row of a range not ended by ABORT, FORCE or aresetn is committed exactly once",
     "Transfers.every_row_of_a_range_is_committed_exactly_once Transfers.rows_in_order "
     "Transfers.no_row_left_out Transfers.never_past_the_range"),
    ("within one column SET and RESET, plus and minus SET, up and down are never on together",
     "Drives.a_column_is_worked_by_one_at_a_time Programs.a_set_is_of_the_device_of_its_sign"),
    ("never on a masked or converged column",
     "Programs.no_masked_column_is_set_or_reset Programs.no_converged_column_is_set_or_reset "
     "Programs.a_trim_is_of_every_column_not_done_or_masked"),
    ("SET and RESET on at most one row",
     "Drives.strobes_are_on_one_row_at_a_time Drives.selects_are_stable"),
    ("outside the trim no update pulse during a row transfer",
     "Transfers.an_update_only_as_trim Joined.no_update_pulse_outside_the_trim_of_a_row"),
    ("a pulse lasts exactly its code",
     "Drives.a_whole_pulse_is_one_piece_of_its_code "
     "Drives.a_row_is_high_for_its_code_from_the_first_cycle "
     "Drives.a_column_is_high_for_its_code_from_the_first_cycle Drives.a_trim_is_a_thermometer "
     "Drives.a_line_of_an_update_is_high_where_the_draw_is_below_its_code "
     "Streams.row_thresholds_are_those_of_the_draws "
     "StochasticStreams.row_thresholds_are_those_of_the_draws"),
    ("or ends within a cycle of soft reset or disarm",
     "Drives.disarm_and_reset_act_within_a_cycle"),
    ("or of `analog_safe`",
     "Joined.analog_safe_cuts_at_once Joined.a_request_cut_short_is_cleared"),
    ("no line is driven during a conversion",
     "Drives.no_line_in_a_conversion_or_strobe Drives.no_line_without_a_drive_phase"),
    ("between the phases of a FORWARD all lines are low for at least a cycle",
     "Drives.lines_are_low_as_a_request_rises"),
    ("selects and swaps are stable within a phase",
     "Drives.selects_are_stable Drives.nothing_is_latched_during_a_phase "
     "Transfers.no_driver_is_written_during_a_phase Commands.no_driver_is_written_during_a_phase "
     "Joined.no_driver_is_written_during_a_phase"),
    ("every accepted command is answered within a stated bound",
     "Commands.answered_in_time Bounded.answered_in_time Bounded.a_failed_phase_ends_the_command "
     "Drives.the_end_comes_in_time Drives.done_tells_the_end "
     "Joined.the_sequencer_works_while_the_controller_waits"),
    ("plus the cycles spent waiting on a host stream; one silent for stream_timeout cycles ends it",
     "Commands.a_silent_stream_ends_the_wait Commands.a_silent_load_is_ended"),
]  # fmt: skip


def table() -> str:
    """As rows of docs/verification.md."""
    lines = ["| asked | proven by |", "|---|---|"]
    for asked, properties in PROMISES:
        lines.append(f"| {asked} | {', '.join(f'`{name}`' for name in properties.split())} |")
    return "\n".join(lines) + "\n"
