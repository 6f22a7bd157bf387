"""What has to be known before a connection is there: where to go, and who we are."""
