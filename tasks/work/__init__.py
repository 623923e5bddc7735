"""The sample jobs: one that waits, one that mails a page, one that reads a page's links.

Each job is thin. What it does stands in a module of its own, as plain functions that take time,
chance and the network as arguments.
"""
