"""What devices are made of: each part answers for its namespaces."""
