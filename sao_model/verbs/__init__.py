"""Verbs of `sao` about models: one file each."""
