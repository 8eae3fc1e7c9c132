"""Where a model's weights come from: published sets, the user's checkpoints, other people's ONNX files, or a seed."""
