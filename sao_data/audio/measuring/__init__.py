"""What is measured of a file as its decoder gives it, and between the samples of what is stored."""
