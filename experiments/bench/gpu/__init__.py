"""Layers on one GPU: our methods against cuDNN in PyTorch, against floors and against targets."""
