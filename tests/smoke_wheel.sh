#!/usr/bin/env bash
# Build the wheel, install it into a virtual environment of its own and run it in an empty folder.
# usage: tests/smoke_wheel.sh PYTHON   (a Python that has this project's dependencies and `build`)
set -euo pipefail
unset PYTHONPATH
python=$(realpath --no-symlinks "$1")
project=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m build --wheel --outdir "$work/dist" "$project"
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --no-deps "$work"/dist/*.whl
# The dependencies are borrowed (they are gigabytes), the project itself is not.
"$python" - "$work/venv" <<'PY'
import pathlib, sys, sysconfig
venv = pathlib.Path(sys.argv[1])
site = next(venv.glob("lib/python*/site-packages"))
(site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
PY
mkdir "$work/empty"
cd "$work/empty"
"$work/venv/bin/python" -c 'import streamer, sys; assert sys.prefix in streamer.__file__, streamer.__file__'
"$work/venv/bin/vistr-stream" --config file --max_frames 40 --threshold 0.02 --output masks.mp4 --results results.json
test -s masks.mp4
test -s results.json
test -s results.jsonl
