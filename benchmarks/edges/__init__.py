"""Zero-shot edges: the masks of everything in an image, drawn as an edge map and scored as BSDS500 scores edges.

The way of the data: `detection` makes the edge map of an image, by a `recipe`; `truth` reads the boundaries that people
drew; `thinning` and `matching` count the pixels on which both agree, at 99 thresholds; `scores` makes ODS, OIS, AP and
R50 of the counts. `run` is what `lightsam_benchmarks.evaluations` does with every image, whose lines are in `journal`,
and makes a `record` of them, which `report`, `plots`, `page` and `writers` show.
"""
