"""What a saved file meets on a device, by rules: which operations leave it or break it, and what memory it takes.

`formats` reads the operations of a file (`formats.listing`), `memory` and the rules of each device judge them, `check`
puts that together for one file, and `files` finds the files of a folder.
"""
