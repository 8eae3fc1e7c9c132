"""An export that is killed, at any moment: what is there afterwards is whole, and ``lightsam parity`` passes on it."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import tiny

from lightsam_exporters import artifacts, facts
from lightsam_exporters.loading import exports, load_predictor

NAME = "coreml-float16"
_DIES_AFTER = """
import os, signal
from lightsam_exporters import artifacts, manifest
_rename, _seen = os.rename, []
def rename(source, target):
    _rename(source, target)
    if os.path.basename(str(target)) in ({name!r}, {previous!r}):
        _seen.append(target)
        if len(_seen) == {count}:
            os.kill(os.getpid(), signal.SIGKILL)
artifacts.os.rename = rename
"""


@pytest.fixture
def overwrite(start_lightsam, tmp_path):
    """Start an export of the tiny model over the one that is there."""

    def start(*options: str, before: str = ""):
        arguments = ("export", tiny.NAME, "--weights", "seeded", "--output", tmp_path, "--overwrite", *options)
        return start_lightsam(*arguments, before=before)

    return start


@pytest.mark.parametrize(("renames", "slots"), [(1, 8), (2, 5)], ids=["the old one is aside", "the new one is there"])
def test_a_kill_at_the_very_renames(own_export, overwrite, lightsam, renames, slots):
    """Between them nothing lies under the export's name; after them the index is of the old one."""
    dies = _DIES_AFTER.format(name=NAME, previous=f"{artifacts._PREVIOUS}{NAME}", count=renames)
    process = overwrite("--stage", "decoder", "--point-slots", "5", before=dies)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert (own_export / NAME).exists() == (renames == 2)
    done = lightsam("parity", own_export, "--suite", "quick", "--precision", "float16")
    assert done.status == 0, done.stdout + done.stderr
    assert load_predictor(own_export, precision="float16").point_slots == slots
    assert facts.read(own_export / NAME).files["decoder"].options["point_slots"] == slots


@pytest.mark.slow
def test_thirty_exports_killed_at_random_moments(exported, overwrite, lightsam, tmp_path):
    """Some are killed while they import, some while they convert, judge or move, and some come to their end."""
    folder = Path(shutil.copytree(exported, tmp_path / exported.name))
    began = time.monotonic()
    overwrite().communicate(timeout=600)
    whole = time.monotonic() - began
    moments, ended = random.Random(0), 0
    for _ in range(30):
        process = overwrite("--point-slots", str(moments.randint(2, 9)))
        time.sleep(moments.uniform(0, 1.1 * whole))
        process.kill()
        process.communicate(timeout=60)
        ended += process.returncode == 0
        done = lightsam("parity", folder, "--suite", "quick")
        assert done.status == 0, done.stdout + done.stderr
        assert {one.name for one in exports(folder)} == {"coreml-float32", NAME}
    assert ended < 30
