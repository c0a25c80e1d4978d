"""What the tasks of sound, pen and picture share: labelled sequences, CTC, mixtures, features."""
