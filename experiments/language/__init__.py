"""What the language tasks share: vocabularies, corpora, scores, and parts of their models."""
