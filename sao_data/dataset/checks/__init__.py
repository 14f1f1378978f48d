"""What `sao verify` is made of: shards against their index, samples against the catalogue, and decisions."""
