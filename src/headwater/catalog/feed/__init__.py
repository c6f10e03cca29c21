"""The index of the exact feed, and what listings have promised (docs/exact-feed.md)."""
