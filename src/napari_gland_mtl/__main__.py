"""``python -m napari_gland_mtl`` is the command ``gland-mtl``."""

from napari_gland_mtl.cli import main

if __name__ == "__main__":
    main()
