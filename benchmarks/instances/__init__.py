"""Instance segmentation by boxes: masks for a detector's boxes, and their average precision as COCO defines it.

The way of the data: `request` says what is asked; `truth` reads the annotations and `boxes` the boxes, `sets` both of
every set; `run` is what `lightsam_benchmarks.evaluations` does with every image, whose lines are in `journal`;
`scoring` has the average precision. `record` is what comes out, `storage` its file, and `report` and `page` show it
beside what others published.
"""
