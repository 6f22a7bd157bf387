"""From entities to topics, payloads and announcements, and back. Pure."""
