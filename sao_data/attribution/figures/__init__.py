"""What a dataset is made of: distributions counted (`tally`), drawn (`columns`), as files (`overview`)."""
