"""Databases that releases made, and how they were made: every later release opens them, and finds all as it was.

`<release>.sqlite` is the database, `<release>.json` what was seen of it. A world that reads a later version's content
gets a version 3 beside `before` and `after`; the files of a release that is out are never made again.
"""
