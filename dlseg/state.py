"""Tensors from files: read without running code of them, checked, given to a network whole."""

import pickle
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from dlseg.schema import Unfit, table, text, wrong

REAL = {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.uint8}
REAL |= {torch.int64, torch.int32, torch.int16, torch.int8}
# Where programs keep a state dict beside other things.
PLACES = ("state_dict", "model_state", "model_state_dict", "model", "net", "weights")
_COUNTER, _WRAPPED = "num_batches_tracked", "module."


def read_saved(path: Path, zipped: bool = True) -> object:
    """What `torch.save` wrote to the file, all tensors on the CPU; no code of it is run.

    zipped: whether it must have the form of PyTorch 1.6 and later, whose checksums are tested.
    Raises OSError where it cannot be read, Unfit with the cause for any other fault of it.
    """
    with path.open("rb"):
        pass  # an error of the system is told as it is
    if zipped:
        _check_zip(path)
    try:
        with warnings.catch_warnings():  # about sparse tensors, which are refused later
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # its own message advises to run the code
        raise Unfit("it holds more than tensors, numbers and texts, or is damaged") from error
    except Exception as error:  # damaged bytes can raise anything, an OSError too
        raise Unfit("it is damaged, or no file that PyTorch wrote") from error


def _check_zip(path: Path) -> None:
    """Unfit for parts with a wrong checksum: torch.load does not look at them."""
    try:
        with zipfile.ZipFile(path) as file:
            if sum(part.file_size for part in file.infolist()) > path.stat().st_size:
                raise Unfit("its parts are larger than the file")  # compressed, to fill memory
            broken = file.testzip()
    except (OSError, Unfit):
        raise
    except Exception as error:
        raise Unfit("it is damaged, or no file that PyTorch wrote") from error
    if broken:
        raise Unfit(f"it is damaged: wrong checksum of {broken}")


def tensor(entry: str, value: object) -> Tensor:
    """Check that accepts tensors of finite real numbers, which own the memory they claim."""
    if type(value) not in (Tensor, nn.Parameter):
        raise wrong(entry, "a tensor", value)
    value = Tensor.detach(value)
    if value.dtype not in REAL or value.layout != torch.strided or value.is_meta:
        raise Unfit(f"{entry} must be a tensor of real numbers, got {value.dtype}")
    claimed = value.numel() * value.element_size()
    if claimed > value.untyped_storage().nbytes():
        raise Unfit(f"{entry} has the shape {tuple(value.shape)} and not as many numbers")
    if value.is_floating_point() and not value.isfinite().all():
        count = int((~value.isfinite()).sum())
        raise Unfit(f"{entry} holds {count} of {value.numel()} values that are NaN or infinite")
    return value


STATE_DICT = table(text(empty=False), tensor)


def misfit(model: nn.Module, state: Mapping[str, Tensor]) -> str:
    """How a state dict differs from the model's, in one line; "" where it fits.

    It tells how many entries have another shape, are missing and unexpected, and the first three of
    each. Files older than batch norm's counter of batches may lack it; it then starts at zero.
    """
    own, given = ({k: _kind(v) for k, v in one.items()} for one in (model.state_dict(), state))
    both = [key for key in own if key in given and own[key] != given[key]]
    reshaped = [f"{key} is {given[key]} in the file and {own[key]} in the model" for key in both]
    counted = [key for key in own if not key.endswith(_COUNTER)]
    lists = {
        "of another shape": reshaped,
        "missing": [key for key in counted if key not in given],
        "unexpected": [key for key in given if key not in own],
    }
    return "; ".join(f"{len(keys)} {what}: {few(keys)}" for what, keys in lists.items() if keys)


def fitting(model: nn.Module, state: Mapping[str, Tensor]) -> set[str]:
    """The layers of `model` all of whose tensors a state dict has, of their shapes, by name.

    A layer is a module that holds tensors itself; "" is the model's own.
    """
    own = {key: value for key, value in model.state_dict().items() if not key.endswith(_COUNTER)}
    wrong = {key for key in own if key not in state or _kind(own[key]) != _kind(state[key])}
    return {layer_of(key) for key in own} - {layer_of(key) for key in wrong}


def layer_of(key: str) -> str:
    """The layer to which an entry of a state dict belongs: "conv1" of "conv1.weight"."""
    return key.rpartition(".")[0]


def few(names: Iterable[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(name[:200] for name in names[:most]) + more


def read_any(path: Path) -> object:
    """What another program wrote to the file: `read_saved`, or by the package safetensors.

    Of the latter the name ends in .safetensors; it holds a state dict alone.
    Raises OSError and Unfit as `read_saved`, ModuleNotFoundError without safetensors.
    """
    if path.suffix == ".safetensors":
        return _safetensors(path)
    return read_saved(path, zipped=zipfile.is_zipfile(path))  # an older form has no checksums


def state_dict_in(content: object) -> tuple[dict[str, Tensor], str]:
    """The state dict in what was read, and in words where in it that was.

    It may be the whole, or an entry "state_dict", "model_state", "model" or the like; a prefix
    "module.", of DistributedDataParallel, is taken off.
    Raises Unfit, with the cause, where there is no state dict of finite numbers in it.
    """
    place = ""
    if isinstance(content, Mapping) and not any(map(_is_tensor, content.values())):
        place = next((name for name in PLACES if isinstance(content.get(name), Mapping)), "")
        content = content.get(place, content)
    if not isinstance(content, Mapping) or not any(map(_is_tensor, content.values())):
        raise Unfit(f"no state dict is in it, alone or as one of {', '.join(PLACES)}")
    state, words = STATE_DICT("weights", content), f"a state dict{place and f' under {place!r}'}"
    if all(key.startswith(_WRAPPED) for key in state):
        state = {key.removeprefix(_WRAPPED): value for key, value in state.items()}
        words += f", its names without {_WRAPPED!r}"
    return state, words


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"safetensors is not installed, which reads {path.name}; run: pip install safetensors"
        ) from error
    with path.open("rb"):
        pass  # an error of the system is told as it is
    try:
        return load_file(path)
    except SafetensorError as error:
        raise Unfit("it is damaged, or no file of safetensors") from error


def _kind(value: Tensor) -> str:
    kind = "" if value.is_floating_point() else f" {str(value.dtype).removeprefix('torch.')}"
    return f"{tuple(value.shape)}{kind}"
