"""Codecs compared: what each leaves of sounds, as a table of the paper's shape and sounds to be heard."""
