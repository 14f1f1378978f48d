"""Caption builders: one file each; a builder turns what a source says into caption fields."""
