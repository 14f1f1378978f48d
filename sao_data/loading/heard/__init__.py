"""What checkpoints have heard: works of a checkpoint, checkpoints of a work."""
