"""What is in a checkpoint: sweeps, charts, differences."""
