"""The use cases, and the context that they run in."""
