"""What several sources share: archives, cells, columns, paths, downloads, preferences."""
