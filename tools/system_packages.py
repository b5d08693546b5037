"""Find the system packages that Qt and its virtual screen need, and install them where we may.

Python wheels bring Qt itself but not the X11, OpenGL and font libraries below it, and a bare
container has none. As root on Debian or Ubuntu the missing ones are installed; anyone else is
told the command that does it. Only the standard library is used: this runs before any set-up.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys

# Shared library -> the Debian package that has it. Those of the second group are what
# `ldd` finds missing below PySide6's Qt and its "xcb" platform plugin in a bare Debian 12.
CORE_LIBRARIES = {"libstdc++.so.6": "libstdc++6", "libgcc_s.so.1": "libgcc-s1"}
GUI_LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxcb.so.1": "libxcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-glx.so.0": "libxcb-glx0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
SCREEN_COMMANDS = {"xvfb-run": "xvfb", "Xvfb": "xvfb", "xauth": "xauth"}


def library_loads(name: str) -> bool:
    """Say whether the dynamic linker finds a shared library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def has_fonts() -> bool:
    """Say whether fontconfig knows at least one font; without any, Qt draws empty boxes."""
    fc_list = shutil.which("fc-list")
    if fc_list is None:
        return False
    return bool(subprocess.run([fc_list], capture_output=True, check=False).stdout.strip())


def missing_packages(gui: bool, screen: bool) -> list[str]:
    """List the Debian packages that this machine lacks.

    Parameters
    ----------
    gui : bool
        Whether Qt will be loaded.
    screen : bool
        Whether a virtual screen (Xvfb) with software OpenGL is needed as well.
    """
    missing = []
    if importlib.util.find_spec("ensurepip") is None:
        missing.append(f"python{sys.version_info.major}.{sys.version_info.minor}-venv")
    libraries = CORE_LIBRARIES | (GUI_LIBRARIES if gui else {})
    missing += [package for name, package in libraries.items() if not library_loads(name)]
    if gui and not has_fonts():
        missing += ["fontconfig", "fonts-dejavu-core"]
    if screen:
        missing += [p for command, p in SCREEN_COMMANDS.items() if shutil.which(command) is None]
        if "libgl1" in missing or "xvfb" in missing:
            missing.append("libgl1-mesa-dri")
    return sorted(set(missing))


def install(packages: list[str]) -> int:
    """Install packages with apt-get and give back its exit status."""
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    print("Installing", *packages, flush=True)
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages],
    ):
        status = subprocess.run(command, env=quiet, check=False).returncode
        if status:
            return status
    return 0


def main() -> int:
    """Check, install or say what is missing; 0 if nothing is in the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gui", action="store_true", help="Qt will be loaded")
    parser.add_argument("--screen", action="store_true", help="a virtual screen is needed")
    options = parser.parse_args()
    if sys.platform != "linux":
        return 0  # the wheels bring everything there, and the screen is real
    missing = missing_packages(options.gui, options.screen)
    if not missing:
        return 0
    if shutil.which("apt-get") and os.geteuid() == 0:
        return install(missing)
    print("These system packages are missing (names as in Debian and Ubuntu):", *missing)
    print("Install them, then run make again:")
    print("  sudo apt-get update && sudo apt-get install", *missing)
    return 1


if __name__ == "__main__":
    sys.exit(main())
