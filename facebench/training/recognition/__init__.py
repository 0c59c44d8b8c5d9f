"""Face recognition: margin losses, the recogniser, verification benchmarks and their protocol."""
