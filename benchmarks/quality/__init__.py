"""Masks against ground truth: how good the masks of a model, or of an exported file, are on annotated images.

The way of the data: `evaluation` says what is asked; `ground_truth` reads a `dataset`, by `coco`, `mask_folder` or
`bsds`; `subjects` loads what is evaluated; `prompts` makes boxes and clicks from ground truth, and `predictions` scores
one image; `run` is what `lightsam_benchmarks.evaluations` does with every image, whose lines are in `journal`, and
makes a `record` of them: `compare` pairs two subjects, and `report` and `page` show it.
"""
