"""``lightsam everything``: masks of all objects of an image."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lightsam.cli.console import counting, out
from lightsam.cli.options import AcceptLicense, Numerics, Unit, Weights, examples
from lightsam.cli.predictors import Artifacts, FileFormat, FilePrecision, Model, ModelSize, open_predictor

EPILOG = examples(
    "lightsam everything photo.jpg",
    "lightsam everything photo.jpg --artifacts artifacts/mobile_sam --format onnx --output found",
    "lightsam everything photo.jpg --points-per-side 16 --pred-iou-thresh 0.8",
    "lightsam everything street.jpg --crop-n-layers 1 --crop-n-points-downscale-factor 2",
)
_SHOWN = 10
"""Rows of the table on the terminal."""


def everything(
    image_path: Annotated[Path, typer.Argument(metavar="IMAGE", help="Of any format and mode.")],
    model: Model = "mobile_sam",
    artifacts: Artifacts = None,
    weights: Weights = "trained",
    image_size: ModelSize = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="New folder for what is found; IMAGE_everything by default.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a folder of an earlier run.")] = False,
    points_per_side: Annotated[int, typer.Option(help="Of the grid of prompts.")] = 32,
    points_per_batch: Annotated[int, typer.Option(help="In one call of the decoder; 64 on a GPU.")] = 4,
    pred_iou_thresh: Annotated[float, typer.Option(help="Least predicted IoU of a mask.")] = 0.88,
    stability_score_thresh: Annotated[float, typer.Option(help="Least IoU of a mask at both thresholds.")] = 0.95,
    stability_score_offset: Annotated[float, typer.Option(help="Of these thresholds, in logits.")] = 1.0,
    box_nms_thresh: Annotated[float, typer.Option(help="IoU of boxes above which the less sure mask goes.")] = 0.7,
    crop_n_layers: Annotated[int, typer.Option(help="How often the image is cut up and looked at again.")] = 0,
    crop_nms_thresh: Annotated[float, typer.Option(help="As --box-nms-thresh, between crops.")] = 0.7,
    crop_overlap_ratio: Annotated[float, typer.Option(help="Of crops, by the image's shorter side.")] = 512 / 1500,
    crop_n_points_downscale_factor: Annotated[int, typer.Option(help="Fewer points a side in each layer.")] = 1,
    min_mask_region_area: Annotated[int, typer.Option(help="Fill smaller holes, drop smaller islands; pixels.")] = 0,
    format_name: FileFormat = None,
    precision: FilePrecision = None,
    unit: Unit = None,
    numerics: Numerics = "declared",
    accept_license: AcceptLicense = False,
) -> None:
    """Find masks of all objects of an image, by a grid of points.

    The options and their defaults are those of segment-anything's automatic mask generator, but for --points-per-batch.
    Writes DIR/everything.json
    (COCO's run lengths, the surest mask first), DIR/masks/NUMBER.png and DIR/overlay.png.
    """
    from lightsam.cli.everything_files import EverythingFiles
    from lightsam.everything import Everything
    from lightsam.transforms import open_image

    how = Everything(
        points_per_side=points_per_side,
        points_per_batch=points_per_batch,
        pred_iou_thresh=pred_iou_thresh,
        stability_score_thresh=stability_score_thresh,
        stability_score_offset=stability_score_offset,
        box_nms_thresh=box_nms_thresh,
        crop_n_layers=crop_n_layers,
        crop_nms_thresh=crop_nms_thresh,
        crop_overlap_ratio=crop_overlap_ratio,
        crop_n_points_downscale_factor=crop_n_points_downscale_factor,
        min_mask_region_area=min_mask_region_area,
    )
    files = EverythingFiles(output or image_path.with_name(f"{image_path.stem}_everything"))
    files.check(overwrite)
    image = open_image(image_path)
    predictor = open_predictor(
        model=model,
        artifacts=artifacts,
        weights=weights,
        image_size=image_size,
        format_name=format_name,
        precision=precision,
        unit=unit,
        numerics=numerics,
        accept_license=accept_license,
    )
    with counting("points asked") as told:
        found = predictor.segment_everything(predictor.encode(image), how, image=image, on_points=told)
    files.write(image, image_path.name, found)
    table = Table("mask", "predicted IoU", "stability", "pixels", "box x, y, width, height")
    for number, one in enumerate(found[:_SHOWN]):
        box = ", ".join(map(str, one.bbox))
        table.add_row(f"{number:04}", f"{one.predicted_iou:.3f}", f"{one.stability_score:.3f}", str(one.runs.area), box)
    if found:
        out.print(table)
    more = f", of which the table shows {_SHOWN}" if len(found) > _SHOWN else ""
    out.print(f"{len(found)} masks{more}, written to {files.folder}", soft_wrap=True)
