"""What earlier versions of a dataset held, kept beside the one that is there, so that what a checkpoint has
heard of them can still be said.
"""
