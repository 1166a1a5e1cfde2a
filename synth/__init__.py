"""What other tools are given, and what they say of it."""
