"""Kernels behind fast_steps.py: selection of latents, their gradients, the optimiser and the choice of a path."""
