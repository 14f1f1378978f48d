"""Verbs of the `sao` command, one file each, found through the entry-point group `sao.verbs`."""
