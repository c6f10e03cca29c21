"""URLs to read and write files that the server itself holds."""
