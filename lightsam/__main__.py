"""``python -m lightsam``, where the command is not on the PATH."""

import runpy

runpy.run_module("lightsam.cli", run_name="__main__")
