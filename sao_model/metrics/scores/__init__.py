"""What an evaluation's table has, one file each: a Config and a build(config) that makes a Score.

A file's name is the score's; nothing is registered. What they compute stands in the files one folder up.
"""
