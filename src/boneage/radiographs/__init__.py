"""The image side of boneage: what a radiograph is, how it is read and how it is standardised."""
