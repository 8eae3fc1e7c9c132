"""Puts the small models into the registry of every Python process that the command starts; see `own_processes`."""

import tiny

tiny.register()
