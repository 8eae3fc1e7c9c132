"""Who is handed a bundle: Swift, Android or the web, each with its format, its code and its compute units."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from lightsam.errors import UsageError
from lightsam_exporters.browser.site import VISITED, site_files
from lightsam_exporters.loading import Export

from . import systems
from .parts import VECTORS, WEB, part

_BUILT = ("__pycache__", ".build", "node_modules", "build", "*.class", ".DS_Store")
"""What tools leave in a clone, and nobody is handed."""


@dataclass(frozen=True)
class Platform:
    """One kind of app, and what it is handed."""

    name: str
    """As on the command line."""
    title: str
    """For people."""
    format: str
    """Of the model files."""
    part: str
    """Folder of the code in the project."""
    patterns: tuple[str, ...]
    """What of that folder is handed over."""
    moved: Mapping[str, str]
    """Files and folders that lie elsewhere in a bundle than in the project."""
    resources: str
    """Where the model files lie in a bundle."""
    vectors: str
    """Where the golden vectors lie."""
    answers: str
    """Where the golden answers of the export lie."""
    units: Mapping[str, tuple[str, ...]]
    """The compute units, by preference, and the devices in `lint.rule.DEVICES` that each may run on."""
    computes_float32: Mapping[str, bool] = field(default_factory=dict)
    """Units that cannot run a file whose arithmetic is float32."""
    precisions: tuple[str, ...] = ()
    """Which export is taken of those that are there, by preference; empty for the first that there is."""
    finish: Callable[[Export, Path], None] = lambda _export, _folder: None
    """What is changed in the code, in the folder of the bundle, for an export."""
    needs: Callable[[Export], str] = lambda _: ""
    """The systems that an export needs, in words."""
    brought: Callable[[], Sequence[tuple[Path, Path]]] = tuple
    """Files from elsewhere, and their places in a bundle."""
    visited: tuple[str, ...] = ()
    """Patterns of the files that a visitor of a site downloads, besides the model's; empty for what is no site."""


PLATFORMS = {
    one.name: one
    for one in (
        Platform(
            name="swift",
            title="iPhone, iPad, Mac and Vision Pro, in Swift",
            format="coreml",
            part="swift",
            patterns=(
                "Package.swift",
                ".swift-format",
                "Sources/**/*",
                "Tests/**/*",
                "Examples/**/*",
                "BundleSources/**/*",
                "BundleTests/**/*",
            ),
            moved={"BundleSources": "Sources", "BundleTests": "Tests"},
            resources="Sources/LightSAMModel/Model",
            vectors="Tests/LightSAMCoreTests/Vectors",
            answers="Tests/ModelTests/Answers",
            units={
                "CPU_AND_NE": ("neural-engine",),
                "ALL": ("neural-engine", "coreml-gpu"),
                "CPU_AND_GPU": ("coreml-gpu",),
                "CPU_ONLY": (),
            },
            computes_float32={"CPU_AND_NE": False},
            finish=systems.declare,
            needs=systems.in_words,
        ),
        Platform(
            name="android",
            title="Android, in Kotlin",
            format="tflite",
            part="kotlin",
            patterns=("*.kts", "src/main/**/*", "src/android/**/*", "src/test/**/*", "src/androidTest/**/*"),
            moved={},
            resources="src/main/assets/lightsam",
            vectors="src/test/resources/vectors",
            answers="src/androidTest/assets/answers",
            units={"CPU": ("xnnpack",), "GPU": ("litert-gpu",)},
        ),
        Platform(
            name="web",
            title="browsers, in JavaScript and TypeScript",
            format="onnx",
            part=WEB,
            patterns=("*.js", "*.json", "test/*", "page/*"),
            # A service worker governs the pages of its own folder and below.
            moved={"page/index.html": "index.html", "page/service-worker.js": "service-worker.js"},
            resources="model",
            vectors="test/vectors",
            answers="test/answers",
            units={"WASM": ("onnxruntime-cpu",), "WEBGPU": ("onnxruntime-web",)},
            precisions=("w8-dynamic", "float16", "float32"),
            brought=site_files,
            visited=VISITED,
        ),
    )
}


def find_platform(name: str) -> Platform:
    """The platform of this name.

    Raises:
        UsageError: if there is none; the message lists those that there are.
    """
    if name not in PLATFORMS:
        raise UsageError(f"nothing is handed over for {name!r}; choose from: {', '.join(PLATFORMS)}")
    return PLATFORMS[name]


def handed_over(platform: Platform) -> Iterator[tuple[Path, Path]]:
    """The platform's code, and the golden vectors that hold it.

    Returns:
        Files, and their places in a bundle.
    """
    source, vectors = part(platform.part), part(VECTORS)
    for wanted in platform.patterns:
        for path in sorted(source.glob(wanted)):
            relative = path.relative_to(source)
            built = any(fnmatch(name, pattern) for name in relative.parts for pattern in _BUILT)
            linked = any((source / one).is_symlink() for one in (relative, *relative.parents))
            if path.is_file() and not built and not linked:
                yield path, _moved(relative, platform.moved)
    for path in sorted(vectors.glob("*.json")):
        yield path, Path(platform.vectors, path.name)


def _moved(path: Path, moved: Mapping[str, str]) -> Path:
    """Where a file of a part lies in a bundle."""
    for one in (path, *path.parents):
        if one.as_posix() in moved:
            return Path(moved[one.as_posix()], path.relative_to(one))
    return path


def preferred(exports: Sequence[Export], platform: Platform) -> Export:
    """The export that a platform takes of several, where nobody said which.

    Args:
        exports: at least one.
    """
    ranks = {precision: rank for rank, precision in enumerate(platform.precisions)}
    return min(exports, key=lambda one: ranks.get(one.precision, len(ranks)))  # the first of equals
