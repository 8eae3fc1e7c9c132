"""What exports cost and what their masks are worth, as records that can be compared across devices and releases.

`latency` times (``lightsam benchmark``), `quality` holds masks against ground truth (``lightsam evaluate``), `sweep`
goes over many models, formats, precisions and sizes.
"""
