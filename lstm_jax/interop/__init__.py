"""Weights in and out: PyTorch, Keras, Flax, Haiku, Equinox, ONNX, files, and models to serve."""
