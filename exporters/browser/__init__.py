"""An export in a browser: the runtime that it runs on, the page as a folder, and a server for it on this machine."""
