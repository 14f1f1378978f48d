"""What the paper left to be looked at, one file a check: each gives a table, a picture and a paragraph.

A check is `run(model, config, how, made_with, shown)` of its module, which gives a CheckFinding; its `Config`
says what is tried.
"""
