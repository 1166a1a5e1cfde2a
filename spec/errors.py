"""Errors that a user can mend."""


class InputError(ValueError):
    """Bad input: one clear line that says what to change. The command line exits 2 on it."""
