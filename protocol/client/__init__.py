"""The Python client of the daemon: `aio` for trio, `blocking` for programs without an event loop.

Nothing is imported here, so that neither pays for the other.
"""
