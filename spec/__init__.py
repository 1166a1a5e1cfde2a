"""The contract that both sides obey: sizes, number formats, schedules. Standard library only."""
