"""Fail if one of the modules named on the command line can be imported here.

The unit tests prove that the core works without napari and Qt only where these are absent.
"""

import importlib.util
import sys

if __name__ == "__main__":
    present = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is not None]
    if present:
        sys.exit(f"Installed here, though the core has to work without: {', '.join(present)}")
