"""Sounds around a model: files in, files out with tags, remarks on what is wrong with them, lists of prompts,
and the sheet on which many are heard and seen at once. Nothing here knows a network.
"""
