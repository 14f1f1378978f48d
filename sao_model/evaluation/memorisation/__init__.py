"""Whose work is a sound near to? Its windows against those of a dataset, by embedding and by fingerprint, and
whether that is nearer than the dataset's own works are to one another.

`asking` does all of it; `library` keeps what was heard of a dataset, `nearest` searches in bounded memory,
`judging` holds a similarity against the dataset's own, `prints` asks the fingerprints, `page` shows it.
"""
