"""What is said on the channel between the daemon and its clients."""
