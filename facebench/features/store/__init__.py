"""The feature store: computed features, kept by the content they were computed from."""
