"""Sources: one file each; a source lists what is offered and opens the bytes."""
