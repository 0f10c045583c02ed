"""From motion data to weights."""
