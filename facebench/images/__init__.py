"""Image sets: folders and manifests, read and decoded by one policy."""
