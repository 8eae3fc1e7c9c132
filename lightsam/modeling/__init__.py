"""Blocks that the models share: SAM's prompt encoder, mask decoder and two-way transformer."""
