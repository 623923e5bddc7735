"""A small online store whose checkout answers at once, because its work runs behind it."""
