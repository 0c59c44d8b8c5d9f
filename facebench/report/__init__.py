"""Reports of run records: pages, plots, galleries, and output for build servers."""
