"""Readers of images that are not files of a folder: ZIP, TAR, NPZ and Parquet files, and arrays in memory."""
