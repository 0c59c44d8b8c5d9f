"""Face recognisers and verification benchmarks."""
