"""Editing with a diffusion autoencoder: codes, directions, edited images."""
