"""sae_bench's evaluations of a language model's SAE: which are run, their folders, and how results are read."""
