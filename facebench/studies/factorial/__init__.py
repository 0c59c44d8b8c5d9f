"""Factorial studies: effects of training choices on metrics."""
