"""Polyphonic music: pieces as piano rolls, the model that reads them, what it composes."""
