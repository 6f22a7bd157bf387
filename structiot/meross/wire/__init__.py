"""Meross's wire: envelopes, signatures, encryption, batches; nothing waits here."""
