"""The judge: whether a file answers as PyTorch does, and where it stops doing so."""
