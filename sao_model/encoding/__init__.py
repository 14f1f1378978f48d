"""A dataset encoded once: what is to be encoded how, the codec at work, a run from beginning to end."""
