"""How good is it: sets of sounds, codecs and checkpoints measured, and honest about what with."""
