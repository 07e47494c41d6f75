"""Minimal programs that do one thing that the product does, and nothing else."""
