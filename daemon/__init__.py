"""wasupd, the daemon, and wasupctl, its command line."""

__version__ = "0.1.0"
