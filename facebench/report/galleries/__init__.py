"""Galleries of images."""
