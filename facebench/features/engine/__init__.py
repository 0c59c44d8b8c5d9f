"""The pieces of the extraction engine; `facebench.features.extraction` is its entrance."""
