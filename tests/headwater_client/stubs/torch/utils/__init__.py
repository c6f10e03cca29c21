"""As in PyTorch, a package."""
