"""Feature store: computed features, addressed by the content they were computed from."""
