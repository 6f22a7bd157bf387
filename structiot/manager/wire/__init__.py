"""What managers and devices say to each other; pure."""
