"""Kernels behind fast_steps.py: selection of latents, their gradients, the optimiser, the choice of a path."""
