"""Studies over many runs: factorial designs, grids, validation, recognition utility."""
