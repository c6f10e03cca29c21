"""Read URLs and write URLs that this server answers."""
