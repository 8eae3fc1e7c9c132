"""Instance segmentation by boxes: masks for a detector's boxes, and their average precision as COCO defines it.

The way of the data: `request` says what is asked; `truth` reads the annotations and `boxes` the boxes, `sets` both of
every set; `run` prompts the boxes of one image after the other and, with its `journal`, survives being killed;
`scoring` has the average precision. `record` is what comes out, `storage` its file, and `report` shows it beside what
others published.
"""
