"""What the README's figures come from: `make bench`. Ratios against a named alternative in the same run."""
