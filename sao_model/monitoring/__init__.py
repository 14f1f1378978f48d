"""Seeing a training: its log, its page, what it costs, how its curves compare with known-good ones."""
