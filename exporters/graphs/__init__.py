"""The graphs that are exported: a stage of PyTorch, rewritten for the devices that a format runs on.

A rewrite is a function on the module of a folded stage. It is exact in real arithmetic: what it computes differs from
the faithful module by rounding alone, which `tests/test_graphs.py` holds every one of them to. Which form gets which is
in `table`; what each is worth is measured by ``lightsam benchmark rewrites``.
"""

from .table import FORMS, Rewrite, rewritten

__all__ = ["FORMS", "Rewrite", "rewritten"]
