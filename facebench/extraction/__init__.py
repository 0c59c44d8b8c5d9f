"""The pieces of the extraction engine; `facebench.features` is its entrance."""
