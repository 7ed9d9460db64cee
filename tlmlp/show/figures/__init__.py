"""Figures: matplotlib, with units on every axis and colours for every kind of colour vision."""
