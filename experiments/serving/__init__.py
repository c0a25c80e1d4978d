"""Trained models as they leave the lab."""
