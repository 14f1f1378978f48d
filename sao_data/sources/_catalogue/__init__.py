"""Rows of a list of works."""
