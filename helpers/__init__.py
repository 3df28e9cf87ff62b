"""What a reader of the notebooks would skip: downloads, figure style, repeated plots."""
