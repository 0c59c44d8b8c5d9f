"""Image sets: listing of folders and manifests, and decoding under one policy."""
