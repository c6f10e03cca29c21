"""A real server under requests that nobody has written down: generated from the contract, mutated, in random order."""
