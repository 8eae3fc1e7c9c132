"""``lightsam predict``: one prompt about one image."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from lightsam.cli.console import out, progress
from lightsam.cli.options import AcceptLicense, Numerics, Unit, Weights, examples
from lightsam.cli.predictors import Artifacts, FileFormat, FilePrecision, Model, ModelSize, open_predictor
from lightsam.errors import PromptError

if TYPE_CHECKING:
    from lightsam.predictor import Prediction
    from lightsam.prompts import Prompt

EPILOG = examples(
    "lightsam predict photo.jpg --point 320,240",
    "lightsam predict photo.jpg --point 320,240 --all --overwrite",
    "lightsam predict photo.jpg --model mobile_sam --box 40,30,600,400 --output cup.png",
    "lightsam predict photo.jpg --artifacts artifacts/mobile_sam --point 320,240 --point 100,80,0",
    "lightsam predict photo.jpg --artifacts artifacts/mobile_sam --format tflite --box 40,30,600,400",
)


def predict(
    image_path: Annotated[Path, typer.Argument(metavar="IMAGE", help="Of any format and mode.")],
    model: Model = "mobile_sam",
    artifacts: Artifacts = None,
    weights: Weights = "trained",
    image_size: ModelSize = None,
    point: Annotated[
        list[str] | None,
        typer.Option(metavar="X,Y[,LABEL]", help="In pixels; LABEL 1 foreground (default), 0 background. Repeatable."),
    ] = None,
    box: Annotated[str | None, typer.Option(metavar="X0,Y0,X1,Y1", help="In pixels.")] = None,
    mask_input: Annotated[
        Path | None, typer.Option(help="Refine: the .npy that --save-logits wrote for an earlier answer.")
    ] = None,
    multimask: Annotated[
        bool | None,
        typer.Option("--multimask/--single-mask", help="Three masks or one; by default three for a lone point."),
    ] = None,
    output: Annotated[Path, typer.Option(help="The best mask, black and white, of the image's size.")] = Path(
        "mask.png"
    ),
    overlay: Annotated[
        Path | None, typer.Option(help="The image with mask and prompt; OUTPUT_overlay.png by default.")
    ] = None,
    all_masks: Annotated[
        bool,
        typer.Option("--all", help="Also OUTPUT_all.png: all masks side by side with their predicted IoUs."),
    ] = False,
    save_logits: Annotated[Path | None, typer.Option(help="Write the best mask's low-res logits (.npy).")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that are there; what is read is never replaced.")
    ] = False,
    format_name: FileFormat = None,
    precision: FilePrecision = None,
    unit: Unit = None,
    numerics: Numerics = "declared",
    accept_license: AcceptLicense = False,
) -> None:
    """Answer one prompt about one image: write the best mask and an overlay.

    A file that is there is replaced with --overwrite alone; IMAGE and --mask-input never are.
    """
    from lightsam.cli.prediction_files import PredictionFiles
    from lightsam.transforms import open_image

    prompt = _prompt(point or [], box, mask_input)
    files = PredictionFiles(
        mask=output,
        overlay=overlay or output.with_name(f"{output.stem}_overlay.png"),
        together=output.with_name(f"{output.stem}_all.png") if all_masks else None,
        logits=save_logits,
    )
    files.check({"image": image_path, "mask input": mask_input}, overwrite)
    with progress(3) as begin:
        image = open_image(image_path)
        files.check_sizes(image.size)
        begin("loading")
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
        predictor.check(prompt, *image.size)
        begin("encoding the image")
        encoding = predictor.encode(image)
        begin("answering the prompt")
        prediction = predictor.predict(encoding, prompt, multimask=multimask)
    files.write(image, prediction, prompt)
    _print(prediction)
    *others, last = map(str, files)
    out.print(f"written to {', '.join(others)} and {last}", soft_wrap=True)


def _numbers(text: str, counts: tuple[int, ...], what: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in counts:
        raise PromptError(f"{text!r} is not {what}")
    return values


def _prompt(points: list[str], box: str | None, mask_input: Path | None) -> "Prompt":
    import numpy as np

    from lightsam.prompts import Prompt

    parsed = [_numbers(text, (2, 3), "a point: give --point X,Y or X,Y,LABEL") for text in points]
    mask = None
    if mask_input is not None:
        try:
            mask = np.load(mask_input, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise PromptError(f"{mask_input} cannot be read as the logits of an earlier answer ({error})") from error
    return Prompt(
        points=[(values[0], values[1]) for values in parsed],
        labels=[values[2] if len(values) == 3 else 1 for values in parsed],  # type: ignore[misc]  # checked there
        box=tuple(_numbers(box, (4,), "a box: give --box X0,Y0,X1,Y1")) if box else None,  # type: ignore[arg-type]
        mask=mask,
    )


def _print(prediction: "Prediction") -> None:
    """The masks of an answer; the best is the one that is written."""
    table = Table("mask", "predicted IoU", "foreground", "")
    for index, (mask, iou) in enumerate(zip(prediction.masks, prediction.iou_predictions, strict=True)):
        table.add_row(str(index), f"{iou:.3f}", f"{mask.mean():.1%}", "written" if index == prediction.best else "")
    out.print(table)
