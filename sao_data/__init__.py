"""Build openly licensed audio datasets: acquisition, rights, curation, shards, provenance, attribution."""

__version__ = "0.1.0"
