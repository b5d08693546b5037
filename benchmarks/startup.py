"""What the plugin adds to napari's start.

    python benchmarks/startup.py [--rounds 5]

Each round is a fresh interpreter that imports napari with its window, then everything of this
package that napari's manifest names but the dock widget. The dock widget's module, imported
when the dock is opened, is given for information. Needs napari and a Qt backend, no screen.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

from alternating import verdict

BAR = 0.05
CHILD = """
import json, sys, time
start = time.process_time()
import napari.viewer, napari.window
own = time.process_time()
import napari_gland_mtl, napari_gland_mtl._reader, napari_gland_mtl._writer
import napari_gland_mtl._sample_data
plugin = time.process_time()
import napari_gland_mtl.widgets.segment
dock = time.process_time()
print(json.dumps({"napari": own - start, "plugin": plugin - own, "dock": dock - plugin}))
"""


def one_round() -> dict[str, float]:
    """CPU seconds of the imports in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
        check=True,
        capture_output=True,
        text=True,
    )
    times: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    one_round()  # writes the byte code and warms the disk's cache
    rounds = [one_round() for _ in range(options.rounds)]
    added = statistics.median(times["plugin"] / times["napari"] for times in rounds)
    dock = statistics.median(times["dock"] / times["napari"] for times in rounds)
    print(f"module of the dock widget: {dock:.1%} of napari's own start, when it is opened")
    return verdict("added to napari's start", added, BAR)


if __name__ == "__main__":
    sys.exit(main())
