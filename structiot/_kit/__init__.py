"""Building blocks without any system's knowledge; private to structiot."""
