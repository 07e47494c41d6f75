"""How fast it is, and how small: each figure beside a floor or a peer measured in the same run.

`python -m benchmarks [NAME…]`; README.md says how to add one. Must not know the daemon's inside: it is
measured as its clients see it, over its socket.
"""
