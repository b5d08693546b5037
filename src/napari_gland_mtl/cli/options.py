"""Options that several commands share, and how options become a configuration.

The defaults live in the configurations. An option that was not given is left out here, so that
no default is written down twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|FILE",
        help="Name of a model, its file or its run folder. (default: glas)",
        show_default=False,
    ),
]
MppOption = Annotated[
    float | None,
    typer.Option(
        "--mpp",
        metavar="UM",
        help="Pixel size in um, where the file does not say it or is wrong.",
        show_default=False,
    ),
]
QuarterTurnsOption = Annotated[
    bool | None,
    typer.Option(
        "--quarter-turns/--no-quarter-turns",
        help="Also average over quarter turns: eight views instead of four, in twice the time.",
        show_default="no-quarter-turns",
    ),
]
DropoutSamplesOption = Annotated[
    int | None,
    typer.Option(
        "--dropout-samples",
        metavar="N",
        help="Passes of each view with dropout on, for networks trained with dropout. (default: 0)",
        show_default=False,
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda|mps",
        help="Where the network runs. (default: auto)",
        show_default=False,
    ),
]
MasksOption = Annotated[
    str | None,
    typer.Option(
        "--masks",
        metavar="auto|binary|instances|regions",
        help="What the masks hold. (default: auto, told by their values)",
        show_default=False,
    ),
]
EpochsOption = Annotated[int | None, typer.Option(help="How many.", show_default=False)]
LossesOption = Annotated[
    str | None,
    typer.Option(
        metavar="c,s,t,g",
        help="Of classification, segmentation, topology, geometry. (default: all)",
        show_default=False,
    ),
]
WeightingOption = Annotated[
    str | None,
    typer.Option(
        metavar="uncertainty|fixed|equal|…",
        help="How the losses are weighted: also instance, instance_pixel, convex, convex_trained, "
        "alternating, upgrad, mgda, pcgrad, aligned_mtl, imtl_g. (default: fixed "
        "to train, uncertainty to fine-tune)",
        show_default=False,
    ),
]
LearningRateOption = Annotated[
    float | None,
    typer.Option(
        help="At its highest. (default: 0.002 to train, 0.0002 to fine-tune)", show_default=False
    ),
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option(help="Patches per step, over all devices together.", show_default=False),
]
TrainingSettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any other setting of the training, e.g. patch_size=256. May be repeated.",
        show_default=False,
    ),
]
TrainingSeedOption = Annotated[
    int | None,
    typer.Option(help="Of the training and the split. (default: 0)", show_default=False),
]
ResumeTrainingOption = Annotated[
    bool, typer.Option("--resume", help="Go on with the training in RUN where it was.")
]
JsonFileOption = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write the result there as JSON."),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace outputs that exist already.")
]


def given(**options: Any) -> dict[str, Any]:
    """The options that were given on the command line."""
    return {name: value for name, value in options.items() if value is not None}
