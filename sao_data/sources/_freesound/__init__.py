"""Freesound: configuration, search, partition of a listing, offers, files, taxonomy, forecast."""
