"""What converters say: nowhere in the command, and untouched where lightsam is a library."""

import subprocess
import sys

import pytest

_SCRIPT = """
import os, sys, threading, warnings
from lightsam_exporters.formats import quiet

if {command}:
    quiet.own_the_process()

def another():
    print("of another thread", flush=True)

with quiet.redirect_output_to_log("onnx"):
    print("of Python", flush=True)
    os.write(1, b"of C\\n")
    warnings.warn("of a warning")
    thread = threading.Thread(target=another)
    thread.start()
    thread.join()
print("of the end", flush=True)
"""


@pytest.mark.parametrize("command", [True, False])
def test_streams_belong_to_the_program(command):
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(command=command)],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert done.stderr == ""
    meanwhile = [] if command else ["of Python", "of C", "of another thread"]
    assert done.stdout.splitlines() == [*meanwhile, "of the end"]
