"""OpenVINO as the engine: the same network on a processor, about twice as fast, to the last
digits that float32 has.

The network is traced at a small size and given to OpenVINO's front end for PyTorch, which takes
half a second; tracing at the size of a window takes ten. The front end is called directly:
OpenVINO's own ``convert_model`` reports its use to Intel unless the user forbids it, and no word
about what runs here may leave the machine. Every answer is the same whatever the number of
threads and wherever a window lies.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..errors import InvalidInputError, MissingExtraError
from ..network import GlandNetwork
from .torch_engine import AssignmentNetwork

TYPES = {"float32": "f32", "bfloat16": "bf16"}
"""OpenVINO's names of number types."""


def openvino_installed() -> bool:
    """Whether OpenVINO can be imported, without importing it."""
    return importlib.util.find_spec("openvino") is not None


def require_openvino() -> None:
    """Raise MissingExtraError, naming the extra, where OpenVINO is not installed."""
    if not openvino_installed():
        raise MissingExtraError(
            "The engine openvino needs the package openvino, which is not installed. Install it "
            'with: pip install "napari-gland-mtl[openvino]", or choose the engine torch.'
        )


class OpenVINOEngine:
    """Runs a network with OpenVINO on the processor.

    Parameters
    ----------
    network : GlandNetwork
        Copied, and left as it is.
    precision : str
        ``float32`` or ``bfloat16``.
    threads : int, optional
        As many as PyTorch would use in this thread unless given.

    Raises
    ------
    MissingExtraError
        If OpenVINO is not installed.
    InvalidInputError
        If this version of OpenVINO cannot run the network.
    """

    name = "openvino"
    device = torch.device("cpu")

    def __init__(
        self, network: GlandNetwork, precision: str = "float32", threads: int | None = None
    ) -> None:
        require_openvino()
        self.precision = precision
        self._threads = threads or torch.get_num_threads()
        self._model = _converted(network)
        self._requests: dict[tuple[int, ...], Any] = {}

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities and class map of uint8 RGB (N, H, W, 3); valid until the next call."""
        if len(images) > 1:
            # One by one: batches gain nothing on a processor and take their memory N times.
            answers = [[part.clone() for part in self(image[None])] for image in images]
            probabilities, class_maps = zip(*answers, strict=True)
            return torch.cat(probabilities), torch.cat(class_maps)
        self.prepare(tuple(images.shape))
        pixels = images.contiguous().numpy()
        results = self._requests[tuple(images.shape)].infer(
            {0: pixels}, share_inputs=True, share_outputs=True
        )
        first, second = results.to_tuple()
        return torch.from_numpy(first), torch.from_numpy(second)

    def thin(self, sample: int | None) -> None:
        """There is no dropout here: it was left out when the network was taken over."""
        if sample is not None:
            raise InvalidInputError(
                "The engine openvino runs a network without dropout. Choose the engine torch."
            )

    def prepare(self, shape: tuple[int, ...]) -> None:
        """Make ready for windows (1, H, W, 3), which the first of them would do otherwise."""
        if shape in self._requests:
            return
        # What computes the size before is given up for it, unless that is the same window turned
        # by a quarter: then both come by turns.
        turned = (shape[0], shape[2], shape[1], *shape[3:])
        self._requests = {size: kept for size, kept in self._requests.items() if size == turned}
        settings = {
            "INFERENCE_PRECISION_HINT": TYPES[self.precision],
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": 1,
            # Several processes of one machine would all be bound to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        with _naming_openvino():
            import openvino

            self._model.reshape(list(shape))
            compiled = openvino.Core().compile_model(self._model, "CPU", settings)
            self._requests[shape] = compiled.create_infer_request()


def _converted(network: GlandNetwork) -> Any:
    """OpenVINO's form of the network, of any size."""
    with _naming_openvino():
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        converter = FrontEndManager().load_by_framework("pytorch")
        # Each of these is used by the next without being kept alive by it.
        decoder = TorchScriptPythonDecoder(_traced(network))
        loaded = converter.load(decoder)
        return converter.convert(loaded)


def _traced(network: GlandNetwork) -> Any:
    """The network as a graph; only the sizes of its tensors stay open."""
    side = 2 * network.stride
    example = torch.zeros(1, side, side, 3, dtype=torch.uint8)
    module = AssignmentNetwork(network).cpu()
    with warnings.catch_warnings(), torch.no_grad():
        # The checks of the input's shape are not part of the graph, and need not be. PyTorch
        # would rather have its newer tracer used, which takes ten times as long.
        warnings.simplefilter("ignore")
        return torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]


@contextmanager
def _naming_openvino() -> Iterator[None]:
    """Turn what OpenVINO raises while it takes a network over into one clear error."""
    try:
        yield
    except (AttributeError, ImportError, RuntimeError, TypeError) as error:
        raise _refused(error) from error
    except Exception as error:
        # Failures of its front ends derive from nothing more special.
        if type(error).__module__.startswith("openvino"):
            raise _refused(error) from error
        raise


def _refused(error: Exception) -> InvalidInputError:
    return InvalidInputError(
        f"OpenVINO cannot run this network on this machine ({error}). Choose the engine torch."
    )
