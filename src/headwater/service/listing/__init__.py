"""Listings: pages, the sources they read from, and splitting into shards."""
