"""What Meross devices can, ability by ability; nothing waits here."""
