"""Features of image sets: computed by networks, kept in a store."""
