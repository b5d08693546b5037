"""Images of tissue, from a camera's PNG to a pyramidal slide, behind one small interface.

``open_slide`` takes any file that is understood and gives a `Slide`: RGB pixels by window and
level, and the pixel size in micrometres where the file knows it. What follows never asks what
kind of file it was.
"""

from .array import slide_from_array
from .formats import FORMATS, SlideFormat, is_slide_path, open_slide
from .levels import Level
from .pixel_size import PixelSize, plausible_mpp
from .slide import Slide

__all__ = [
    "FORMATS",
    "Level",
    "PixelSize",
    "Slide",
    "SlideFormat",
    "is_slide_path",
    "open_slide",
    "plausible_mpp",
    "slide_from_array",
]
