"""One message at a time through a real broker: who sends them, and what is measured."""
