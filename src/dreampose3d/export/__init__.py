"""Files out: one format a file."""
