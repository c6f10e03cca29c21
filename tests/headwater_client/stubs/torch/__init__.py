"""As much of PyTorch as the recipe needs."""
