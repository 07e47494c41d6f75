"""A browser that only speaks: for hundreds of sessions on one machine."""
