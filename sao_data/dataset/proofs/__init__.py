"""Who vouches for a version of a dataset: signatures over its root digest."""
