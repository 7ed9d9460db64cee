"""Widgets: they work in the background while the notebook stays free."""
