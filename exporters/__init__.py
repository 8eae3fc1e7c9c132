"""Files of every format: how each is written, read back, judged and recorded.

Installed as ``lightsam_exporters``. `formats` has one module a format, `parity` judges their files against PyTorch, and
`pipeline` makes, judges and installs them.
"""
