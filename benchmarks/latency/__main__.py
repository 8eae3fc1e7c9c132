"""One measurement in a fresh process, see `worker`."""

from .worker import main

main()
