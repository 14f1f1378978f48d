"""The stages of the data road, one file each; the machinery that runs them is in stage.py."""
