"""Feature store: computed features, addressed by the content of their images."""
