"""The ops, one file a family; each file holds documentation, shape rule, forward and backward of its ops."""
