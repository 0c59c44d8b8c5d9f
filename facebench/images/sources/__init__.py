"""Readers of images that are not files of a folder: archives, databases, tables, videos, lists, and memory."""
