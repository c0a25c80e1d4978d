"""The colors of all plots, of Okabe & Ito's palette: distinct to color-blind readers."""

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
RIGHT, WRONG = "#007A5A", "#B84A00"  # its green and its vermilion, dark enough for text
