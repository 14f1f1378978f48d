"""Numbers that say how good a model is: functions of audio or embeddings, without training or files. What a
table has of them stands in `scores/`, a file each.
"""
