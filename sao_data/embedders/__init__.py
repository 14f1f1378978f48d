"""Embedders and taggers: one file each (none ships yet; the screening issue brings the first)."""
