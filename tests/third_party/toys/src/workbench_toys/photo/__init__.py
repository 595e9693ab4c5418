"""Photos: PNG and JPEG files in colour, and a backend that outlines blobs in them."""
