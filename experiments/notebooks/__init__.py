"""Six notebooks, each of which opens in Colab; `make notebooks` keeps them tidy."""
