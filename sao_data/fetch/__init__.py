"""Getting things over the network within the rules: permits, retries, resumption, credentials, terms."""
