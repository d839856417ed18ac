"""The demo: a real model pruned end to end, and a small one trained, pruned and fine-tuned."""
