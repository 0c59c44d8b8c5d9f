"""Features of image sets: computed by networks and kept in a store."""
