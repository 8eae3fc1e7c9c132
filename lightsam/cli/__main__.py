"""``python -m lightsam.cli``."""

from lightsam.cli import main

main()
