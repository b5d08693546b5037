"""What every kind of file this package writes has in common: whole or not at all, and described."""
