"""The functions of ``torch.nn.utils.prune``, by torch's names."""
