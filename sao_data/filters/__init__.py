"""Filters: one file each; a filter keeps a clip or gives the reason it is rejected."""
