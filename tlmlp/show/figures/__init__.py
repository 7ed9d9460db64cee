"""Figures: matplotlib, with units on every axis and colours that colour-blind readers can tell apart."""
