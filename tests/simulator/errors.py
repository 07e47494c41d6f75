"""The one error a person or a test sees when it asks the simulator for something that cannot be."""


class SimulatorError(Exception):
    """What was asked cannot be done; the message says why, and what would work."""
