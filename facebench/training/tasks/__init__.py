"""Kinds of training: each file holds the settings of one kind, and what the loop must know of it."""
