"""Getting things over the network within the rules: permits, retries, continued downloads, credentials,
terms.

The only package with secrets: what leaves it, into units of work or files, holds addresses and proxies
only.

Imports: the vocabulary, licences, storage.
"""
