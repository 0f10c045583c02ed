"""Where motion comes from: one source a file."""
