"""sae_bench's evaluations of a language model's SAE: which are run, on what, and what they wrote."""
