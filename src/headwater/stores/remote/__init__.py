"""What the stores across a network share: the one way to speak HTTP, and what refusals mean."""
