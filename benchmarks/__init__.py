"""Measurements, as ratios in one interleaved run. Nothing here is a test: machines differ."""
