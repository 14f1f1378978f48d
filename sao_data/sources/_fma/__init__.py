"""Free Music Archive dumps: rows of the metadata and their known defects."""
