"""What the platforms say and hear, without input or output."""
