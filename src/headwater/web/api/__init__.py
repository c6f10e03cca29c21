"""HTTP in, HTTP out. No decisions."""
