"""Features of image sets, computed by networks and stored."""
