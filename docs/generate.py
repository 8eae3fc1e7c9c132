"""What the pages of the site take from the code: the command, the contract, the gates, the tables of records, ...

A page asks for it by a comment on a line of its own, such as ``<!-- generate: gates -->`` or, with an argument,
``<!-- generate: latency benchmarks/latency/records/amd-epyc-2-cores.json -->``. `mkdocs.yml` names this file as a hook,
so that the comments are replaced whenever the site is built and nothing generated can be older than the code.
"""

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_MARKER = re.compile(r"^<!-- generate: (\w+)(?: (\S+))? -->$", re.MULTILINE)
_CODE_OR_PIPE = re.compile(r"`[^`]*`|\|")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs' hook for each page."""
    return fill(markdown)


def fill(markdown: str) -> str:
    """Replace every marker by what it asks for.

    Raises:
        KeyError: for a marker that asks for something that is not generated.
    """

    def generated(match: re.Match[str]) -> str:
        name, argument = match.groups()
        return GENERATORS[name](*filter(None, [argument])).strip()

    return _MARKER.sub(generated, markdown)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as Python-Markdown reads it: a pipe in a cell is escaped, but not in code, which it takes as it is."""
    lines = [head, ["---"] * len(head), *rows]
    cells = (
        [_CODE_OR_PIPE.sub(lambda m: r"\|" if m[0] == "|" else m[0], str(cell)) for cell in line] for line in lines
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def readme(section: str) -> str:
    """The table of a section of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    return "\n".join(line for line in text.splitlines() if line.startswith("|"))


def contract(model: str = "mobile_sam") -> str:
    """Inputs and outputs of both stages of a model at its own size, as formats with static shapes have them."""
    from lightsam.models import find_model
    from lightsam.stages import split

    card = find_model(model)
    rows = []
    for stage in split(card.skeleton(card.native_size)):
        for direction, specs in (("in", stage.inputs), ("out", stage.outputs)):
            for spec in specs:
                dynamic = ", ".join(spec.dynamic.values())
                rows.append((f"{stage.name} {direction}", f"`{spec.name}`", spec.shape, dynamic, spec.meaning))
    return table(("stage", "tensor", "shape", "dynamic axes", "meaning"), rows)


def contract_models() -> str:
    """What differs between the models; those that are alike share a row."""
    from lightsam.models import MODELS

    alike: dict[tuple[str, ...], list[str]] = {}
    for card in MODELS.values():
        alike.setdefault(_differences(card), []).append(f"`{card.name}`")
    head = ("models", "from encoder to decoder", "image", "prompts", "padding points", "masks", "further outputs")
    return table(head, ((", ".join(names), *cells) for cells, names in alike.items()))


def _differences(card: Any) -> tuple[str, ...]:
    from lightsam.rules import Padding

    model = card.skeleton(card.native_size)
    rules = model.rules
    taken = {"points": True, "background points": rules.prompts.background, "box": True, "mask": rules.prompts.masks}
    prompts = ", ".join(name for name, takes in taken.items() if takes)
    padding = {
        Padding.WITHOUT_BOX: "one after points without a box",
        Padding.ALWAYS: "one after points and box",
        Padding.FILL: f"fill all {rules.prompts.slots} slots",
    }
    masks = f"{rules.masks.count}, the first the single answer" if rules.masks.single else f"{rules.masks.count}"
    if rules.masks.fallback is not None:
        masks += ", unless it is unstable"
    return (
        ", ".join(f"`{one.name}` {one.shape(card.native_size)}" for one in model.image_encoder.feature_maps),
        rules.preprocess.fit.value,
        prompts,
        padding[rules.prompts.padding],
        f"{masks}; {rules.preprocess.mask_resize.value}",
        ", ".join(f"`{one.name}`" for one in model.mask_decoder.further_outputs),
    )


def contract_version() -> str:
    """One sentence, so that it can stand on a line of its own."""
    from lightsam.stages import CONTRACT_VERSION

    return f"The contract has version {CONTRACT_VERSION}; files of different versions do not pair."


def gates() -> str:
    """What each format and precision must reach, and where the numbers come from."""
    from lightsam_exporters.formats import FORMATS, describe_format

    rows = (
        (
            format_name,
            precision,
            f"{gate.psnr_db:g} dB",
            f"{gate.mask_iou:g}",
            f"{gate.boundary_iou:g}",
            f"{gate.iou_tolerance:g}",
            f"{gate.rounding:.1e}",
            gate.origin,
        )
        for format_name in FORMATS
        for precision, gate in describe_format(format_name).gates.items()
    )
    head = ("format", "precision", "PSNR of a stage", "mask IoU", "boundary IoU", "ties", "rounding", "origin")
    return table(head, rows)


def units() -> str:
    """What each format's runtime can be asked to run on."""
    from lightsam_exporters.formats import FORMATS, describe_format

    rows = []
    for name in FORMATS:
        backend = describe_format(name)
        threads = "as told (`--threads`)" if backend.threaded else "chosen by the runtime"
        rows.append((backend.title, ", ".join(f"`{unit}`" for unit in backend.units), threads))
    return table(("format", "units, the default first", "threads"), rows)


def lint_devices() -> str:
    """Whose rules there are, and which formats are held to them by default."""
    from lightsam_exporters.formats import FORMATS, describe_format
    from lightsam_exporters.lint.rule import DEVICES

    owners = {
        device: ", ".join(describe_format(name).title for name in FORMATS if device in describe_format(name).devices)
        for device in DEVICES
    }
    rows = ((f"`{device}`", title, owners[device] or "nobody: name it") for device, title in DEVICES.items())
    return table(("target", "device", "asked by default of"), rows)


def lint_rules() -> str:
    """Every rule of the lint, in the order of the code."""
    from lightsam_exporters.lint import check  # noqa: F401  (imports the modules that hold the rules)
    from lightsam_exporters.lint.rule import RULES

    rows = (
        (f"`{one.id}`", f"`{one.device}`", one.severity.value, one.wrong, one.remedy, f"<{one.source}>")
        for one in RULES.values()
    )
    return table(("rule", "target", "severity", "what is wrong", "what to do", "source"), rows)


def graphs() -> str:
    """Every rewrite and the forms that have it, in the order of the table."""
    from lightsam_exporters.graphs import FORMS

    owners: dict[Any, list[str]] = {}
    for form, rewrites_of_form in FORMS.items():
        for rewrite in rewrites_of_form:
            owners.setdefault(rewrite, []).append(f"`{form}`")
    rows = (
        (
            f"`{rewrite.__name__}`",
            (rewrite.__doc__ or "").strip(),
            f"`{rewrite.__module__.rpartition('.')[2]}.py`",
            *forms,
        )
        for rewrite, forms in ((rewrite, [", ".join(found)]) for rewrite, found in owners.items())
    )
    return table(("rewrite", "what it does", "in `exporters/graphs/`", "forms"), rows)


def operations() -> str:
    """What the evaluator of ML Programs computes."""
    from lightsam_exporters.formats.mil import evaluator  # noqa: F401  (imports the modules that register operations)
    from lightsam_exporters.formats.mil.registry import OPERATIONS

    return ", ".join(f"`{name}`" for name in sorted(OPERATIONS))


def latency(record: str) -> str:
    """The tables of a benchmark's record."""
    from lightsam_benchmarks.latency.record import read
    from lightsam_benchmarks.latency.report import markdown

    return markdown([read(ROOT / record)])


def quality(record: str) -> str:
    """The tables of an evaluation's record."""
    from lightsam_benchmarks.quality.report import markdown
    from lightsam_benchmarks.quality.storage import read

    return markdown([read(ROOT / record)])


def instances(record: str) -> str:
    """The tables of a record of instances."""
    from lightsam_benchmarks.instances.report import markdown
    from lightsam_benchmarks.instances.storage import read

    return markdown([read(ROOT / record)])


def edges(record: str) -> str:
    """The tables of a record of edges, and its curve."""
    from lightsam_benchmarks.edges.plots import curve
    from lightsam_benchmarks.edges.record import read
    from lightsam_benchmarks.edges.report import markdown

    found = read(ROOT / record)
    return f"{markdown([found])}\n<div>\n{curve(found).strip()}\n</div>"


def tradeoff(record: str) -> str:
    """The tables of a sweep's tradeoff, and its plots."""
    from lightsam_benchmarks.tradeoff.page import plots_of
    from lightsam_benchmarks.tradeoff.record import read
    from lightsam_benchmarks.tradeoff.report import markdown

    found = read(ROOT / record)
    plots = (f"#### {title}\n\n<div>\n{svg.strip()}\n</div>" for title, svg in plots_of(found))
    return "\n\n".join((markdown([found]), *plots))


def rewrites(record: str) -> str:
    """The tables of a record of rewritten graphs, and its plots."""
    from lightsam_benchmarks.rewrites.page import drawn
    from lightsam_benchmarks.rewrites.record import read
    from lightsam_benchmarks.rewrites.report import markdown

    found = read(ROOT / record)
    plots = (f"### {title}\n\n<div>\n{svg.strip()}\n</div>" for title, svg in drawn(found))
    return "\n\n".join((markdown([found]), *plots))


def schema(name: str) -> str:
    """The fields of a document, a table for each of its parts, from the JSON Schema that is published."""
    from lightsam_benchmarks.schemas import SCHEMAS

    content = json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    parts = content["$defs"]
    first = SCHEMAS[name][0].__name__
    sections = []
    for part in (first, *(one for one in parts if one != first)):
        rows = [
            (f"`{field}`", _kind(facts), facts.get("description", ""))
            for field, facts in parts[part].get("properties", {}).items()
        ]
        words = parts[part].get("description", "").split("\n\n")[0].replace("\n", " ")
        sections.append(f"**{part}.** {words}\n\n{table(('field', 'type', 'meaning'), rows)}")
    return "\n\n".join(sections)


def _kind(facts: dict[str, Any]) -> str:
    """The type of a field in words; parts of the document by their names."""
    if "$ref" in facts:
        return str(facts["$ref"].rsplit("/", 1)[-1])
    if "const" in facts:
        return f"`{facts['const']}`"
    if "anyOf" in facts:
        return " or ".join(_kind(one) for one in facts["anyOf"])
    kind = facts.get("type", "any value")
    if kind == "array":
        inner = facts.get("items") or (facts.get("prefixItems") or [{}])[0]
        return f"list of {_kind(inner)}" if inner else "list"
    if kind == "object" and isinstance(facts.get("additionalProperties"), dict):
        return f"by name: {_kind(facts['additionalProperties'])}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def api() -> str:
    """Every public name of `lightsam`, for mkdocstrings."""
    import lightsam

    return "\n\n".join(f"::: {_path(name, getattr(lightsam, name))}" for name in lightsam.__all__)


def _path(name: str, public: object) -> str:
    """Where a public name is defined: of a constant only the package that shows it is known."""
    if inspect.isclass(public) or inspect.isfunction(public):
        return f"{public.__module__}.{name}"
    from lightsam import _HOMES

    return f"lightsam.{_HOMES[name]}.{name}"


def make_targets() -> str:
    """The targets of the Makefile that say what they do."""
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    found = (re.match(r"([a-z%-]+):.*?## (.+)", line) for line in lines)
    return table(("target", "what it does"), ((f"`make {match[1]}`", match[2]) for match in found if match))


def command_line() -> str:
    """Every command with its arguments and options, as Typer knows them."""
    import typer.main

    from lightsam.cli import app

    return "\n\n".join(_sections(typer.main.get_command(app), "lightsam"))


def _sections(command: Any, path: str) -> Iterator[str]:
    inner = getattr(command, "commands", {})
    # What a group does without a sub-command stands with that command; its examples would stand there twice.
    parts = [f"## `{path}`", _prose(command.help or "")]
    if not inner:
        parts.append(f"```text\n{' '.join([path, *_usage(command)])}\n```")
    parts += [_parameters(command), "" if inner else _examples(command.epilog or "")]
    yield "\n\n".join(filter(None, parts))
    for name, one in inner.items():
        yield from _sections(one, f"{path} {name}")


def parameters_of(command: Any) -> list[Any]:
    """Arguments and options that a command shows, but for its help: some are made only when they are asked for."""
    context = command.make_context(command.name, [], resilient_parsing=True)
    shown = [one for one in command.get_params(context) if not getattr(one, "hidden", False)]
    return [one for one in shown if "--help" not in one.opts]


def _usage(command: Any) -> list[str]:
    arguments = [_metavar(p) for p in parameters_of(command) if p.param_type_name == "argument"]
    return ["[OPTIONS]", *arguments]


def _metavar(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _parameters(command: Any) -> str:
    rows = []
    for one in parameters_of(command):
        if one.param_type_name == "argument":
            rows.append((f"`{_metavar(one)}`", "", _prose(one.help or "")))
        else:
            names = ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))
            value = f" `{one.metavar}`" if one.metavar else ""
            rows.append((names + value, _default(one), _prose(one.help or "")))
    return table(("argument or option", "default", "meaning"), rows) if rows else ""


def _default(option: Any) -> str:
    if option.required:
        return "required"
    if option.default in (None, True, False, ()) or callable(option.default):
        return ""
    return f"`{option.default}`"


_MARKUP = re.compile(r"\[/?bold\]")


def _prose(text: str) -> str:
    """Help without the terminal's markup; a command in bold becomes code."""
    return _MARKUP.sub("`", inspect.cleandoc(text))


def _examples(epilog: str) -> str:
    lines = [line.strip() for line in epilog.splitlines() if line.startswith("  ")]
    return "\n".join(("```sh", *lines, "```")) if lines else ""


GENERATORS: dict[str, Callable[..., str]] = {
    "api": api,
    "command_line": command_line,
    "contract": contract,
    "contract_models": contract_models,
    "contract_version": contract_version,
    "edges": edges,
    "gates": gates,
    "latency": latency,
    "instances": instances,
    "lint_devices": lint_devices,
    "graphs": graphs,
    "lint_rules": lint_rules,
    "make_targets": make_targets,
    "operations": operations,
    "quality": quality,
    "readme": readme,
    "rewrites": rewrites,
    "schema": schema,
    "tradeoff": tradeoff,
    "units": units,
}
