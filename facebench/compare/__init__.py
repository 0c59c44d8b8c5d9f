"""Compare run records: leaderboards, the gate, differences between runs."""
