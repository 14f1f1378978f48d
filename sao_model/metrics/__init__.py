"""Numbers that say how good a model is: functions of audio or embeddings, without training or files."""
