"""One page for a coach: what happened, angles, speeds, how sure it is, and what one camera cannot see."""
