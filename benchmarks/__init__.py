"""What exports cost and what their masks are worth, as records that can be compared across devices and releases.

`latency` times (``lightsam benchmark``). `quality`, `edges` and `instances` evaluate (``lightsam evaluate``), and
`evaluations` goes over their subjects and images, `shards` in many processes; `reports` shows their records. `sweep`
goes over many models, formats, precisions and sizes.
"""
