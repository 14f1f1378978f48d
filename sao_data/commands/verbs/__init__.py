"""The verbs of `sao`, one file each: HELP, add_arguments and run."""
