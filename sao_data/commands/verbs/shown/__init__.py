"""Verbs that show a dataset, or hand it on; those beside this folder make, check and change one."""
