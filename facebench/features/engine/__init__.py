"""Internals of feature extraction; `facebench.features.extraction` is the public interface."""
