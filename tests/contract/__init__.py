"""The contract file, its seed, the clients generated from both, and the page that shows it."""
