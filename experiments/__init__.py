"""Config-driven experiments: train, evaluate, sample and compare recurrent cells on real tasks."""
