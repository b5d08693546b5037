"""Areas of slides that a pathologist annotates, kept safely in a project beside the slide.

An area is a window of a slide at the model's um/px with two label images over it: whole glands
and regions. What is 0 in both was not annotated. A project keeps areas as data that other tools
can open; what it means for training is said in ``datasets.annotated``.
"""

from .area import Area, AreaInfo, Part, Way, area_from_slide
from .project import SUFFIX, AnnotationProject, StoredArea, is_project, project_path
from .proofreading import Mended, mend, mend_area, violations

__all__ = [
    "SUFFIX",
    "AnnotationProject",
    "Area",
    "AreaInfo",
    "Mended",
    "Part",
    "StoredArea",
    "Way",
    "area_from_slide",
    "is_project",
    "mend",
    "mend_area",
    "project_path",
    "violations",
]
