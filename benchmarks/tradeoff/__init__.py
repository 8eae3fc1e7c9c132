"""What a precision costs in masks, and what it gives in size and speed: the work ``tradeoff`` of a sweep.

``rows`` (what is recorded), ``measuring`` (one export), ``record`` (all of a sweep); ``report``, ``plots``, ``page``
and ``writers`` are for people.
"""
