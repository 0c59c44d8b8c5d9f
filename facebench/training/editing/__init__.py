"""Face editing with a diffusion autoencoder: latents, editing directions, edited images."""
