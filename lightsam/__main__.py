"""``python -m lightsam``."""

from lightsam.cli import main

main()
