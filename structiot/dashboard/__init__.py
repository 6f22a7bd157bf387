"""The web page of a gateway."""
