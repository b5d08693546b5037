"""Choose what runs the network, and make sure that it says the same as PyTorch does.

OpenVINO is about twice as fast as PyTorch on a processor, but takes a second to start and is
an extra. It is taken where it is installed and the work is long enough, after a look at one
piece of the image: an engine whose probabilities are off by more than a thousandth is not used.

Half precision: on a GPU made for it float16 is the default. Its mantissa is that of the TF32
numbers which PyTorch's float32 convolutions use there anyway, and what overflows is computed
again in float32. On a processor float32 is. bfloat16 moves probabilities by up to 0.03 and one
label in a thousand, not only at ties, so it has to be asked for, and even then it is used only
if it is faster on the spot and its labels agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..devices import pays
from ..errors import InvalidInputError
from ..network import GlandNetwork
from .openvino_engine import OpenVINOEngine, openvino_installed, require_openvino
from .torch_engine import TorchEngine

EngineName = Literal["auto", "torch", "openvino"]
PrecisionName = Literal["auto", "float32", "bfloat16", "float16"]

WORTHWHILE_PIXELS = 2**22
"""Px to compute from which starting OpenVINO (a second) is made good by its speed."""

LARGEST_DIFFERENCE = 1e-3
"""Between the probabilities, and the class activations, of an engine and of PyTorch."""

LEAST_AGREEMENT = 0.995
"""Share of pixels whose label bfloat16 must leave as it is; on real tissue it is 0.999."""

PROBE_SIDE = 256
"""Px of the piece that engines are compared on; a multiple of every network's stride."""


class Engine(Protocol):
    """Runs a network, from pixels to probabilities."""

    @property
    def name(self) -> str:
        """``torch`` or ``openvino``."""

    @property
    def device(self) -> torch.device:
        """Where the pixels are expected."""

    precision: str

    def thin(self, sample: int | None) -> None:
        """Switch dropout on, as the thinned network of a number, or off (None)."""

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute uint8 RGB (N, H, W, 3) on the device; sides are multiples of the stride.

        Returns
        -------
        probabilities : Tensor of float32, (N, A, H, W)
            Of the valid assignments, in the order of the region codes; valid until the next
            call.
        class_map : Tensor of float32, (N, K, H / stride, W / stride)
        """


@dataclass(frozen=True)
class EngineChoice:
    """What was asked for; plain data that any process can build an engine from.

    Attributes
    ----------
    engine, precision : str
        With ``auto``, the fastest that is as good.
    compiled : bool
        Let ``torch.compile`` fuse the network; needs a compiler and a minute.
    dropout : bool
        Dropout will be switched on: only PyTorch has it.
    """

    engine: EngineName = "auto"
    precision: PrecisionName = "auto"
    compiled: bool = False
    dropout: bool = False


def check_choice(choice: EngineChoice, device: torch.device) -> None:
    """Refuse, before any work, what cannot be had.

    Raises
    ------
    MissingExtraError
        If OpenVINO is asked for and not installed.
    InvalidInputError
        If an engine or a precision is unknown, or does not exist on that device.
    """
    if choice.engine not in (engines := get_args(EngineName)):
        raise InvalidInputError(
            f"There is no engine {choice.engine!r}. Choose one of: {', '.join(engines)}."
        )
    if choice.engine == "openvino":
        require_openvino()
        if device.type != "cpu":
            raise InvalidInputError(
                f"The engine openvino runs on the processor, not on {device}. Choose the device "
                "cpu, or the engine torch."
            )
    if choice.precision not in (possible := _precisions(device)):
        raise InvalidInputError(
            f"The precision {choice.precision} is not to be had on the device {device}. Choose "
            f"one of: {', '.join(possible)}."
        )


def _precisions(device: torch.device) -> tuple[str, ...]:
    if device.type == "cuda":
        return ("auto", "float32", "bfloat16", "float16")
    return ("auto", "float32", "bfloat16") if device.type == "cpu" else ("auto", "float32")


def choose_engine(
    engine: EngineName, device: torch.device | str, pixels: int
) -> Literal["torch", "openvino"]:
    """The engine that ``auto`` stands for; any other as it is.

    Goes by the machine and the size of the whole work alone, so that a run that is gone on
    with later makes the same choice.

    Parameters
    ----------
    engine : str
    device : torch.device or str
    pixels : int
        To be computed in all: windows with their halos, times the number of flips.
    """
    if engine != "auto":
        return engine
    worthwhile = torch.device(device).type == "cpu" and pixels >= WORTHWHILE_PIXELS
    return "openvino" if worthwhile and openvino_installed() else "torch"


def build_engine(
    network: GlandNetwork,
    device: torch.device,
    choice: EngineChoice,
    pixels: int,
    sample: npt.NDArray[np.uint8],
) -> Engine:
    """Make the engine ready, and compare it with PyTorch where there is something to compare.

    Parameters
    ----------
    network : GlandNetwork
        Copied, and left as it is.
    device : torch.device
    choice : EngineChoice
        Passed by :func:`check_choice`.
    pixels : int
        To be computed in all.
    sample : ndarray of uint8, (H, W, 3)
        A piece of the image; sides are multiples of the stride.

    Raises
    ------
    InvalidInputError
        If OpenVINO was asked for by name and cannot run the network, or says something else.
    """
    if device.type != "cpu":
        precision = default_precision(device) if choice.precision == "auto" else choice.precision
        return TorchEngine(network, device, precision, choice.compiled, choice.dropout)
    name = "torch" if choice.dropout else choose_engine(choice.engine, device, pixels)
    piece = torch.from_numpy(sample[:PROBE_SIDE, :PROBE_SIDE].copy())[None]
    if name == "openvino":
        try:
            plain = _checked(OpenVINOEngine(network), TorchEngine(network), piece)
            return _half_if_asked(network, plain, choice, piece)
        except InvalidInputError:
            if choice.engine == "openvino":
                raise
    plain = TorchEngine(network, compiled=choice.compiled, dropout=choice.dropout)
    return _half_if_asked(network, plain, choice, piece)


def _half_if_asked(
    network: GlandNetwork, plain: Engine, choice: EngineChoice, piece: Tensor
) -> Engine:
    """The engine in bfloat16, if that was asked for and is as good, else as it is."""
    if choice.precision != "bfloat16":
        return plain
    half: Engine = (
        OpenVINOEngine(network, "bfloat16")
        if plain.name == "openvino"
        else TorchEngine(network, "cpu", "bfloat16", choice.compiled, choice.dropout)
    )
    return half if bfloat16_is_as_good(half, plain, piece) else plain


def default_precision(device: torch.device) -> str:
    """What ``auto`` stands for: float16 on GPUs that have units for it, else float32."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0):
        return "float16"
    return "float32"


def _checked(engine: Engine, reference: Engine, sample: Tensor) -> Engine:
    """The engine, if it says of a piece of the image what the reference does."""
    with torch.inference_mode():
        answers = [part.clone() for part in engine(sample)]
        expected = reference(sample)
    for answer, known in zip(answers, expected, strict=True):
        tolerance = LARGEST_DIFFERENCE * (1.0 + known.abs().max())
        difference = (answer - known).abs().max() if answer.shape == known.shape else None
        if difference is None or not difference <= tolerance:
            raise InvalidInputError(
                f"The engine {engine.name} does not say of this image what PyTorch says. Choose "
                "the engine torch, and tell us of it."
            )
    return engine


@torch.inference_mode()
def bfloat16_is_as_good(half: Engine, plain: Engine, sample: Tensor) -> bool:
    """Whether bfloat16 is faster on this machine and leaves the labels of a piece as they are.

    Parameters
    ----------
    half, plain : Engine
        The same, with and without.
    sample : Tensor of uint8, (1, H, W, 3)
    """
    label, label_half = (engine(sample)[0].argmax(dim=1) for engine in (plain, half))
    agreement = float((label == label_half).float().mean())
    return agreement >= LEAST_AGREEMENT and pays(lambda: half(sample), lambda: plain(sample))
