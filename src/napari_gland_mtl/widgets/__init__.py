"""Dock widgets: they show the state of a job and pass on clicks, and compute nothing.

Only this package knows napari and Qt. Nothing is imported here: napari loads a widget's module
when the user opens it, and torch is loaded when a job runs.
"""
