"""Tensors from files: read without running code of them, checked, given to a network whole."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from dlseg.schema import Unfit, table, text, wrong

REAL = {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.uint8}
REAL |= {torch.int64, torch.int32, torch.int16, torch.int8}


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

    Files older than batch norm's counter of batches may lack it; it then starts at zero.
    """
    own, given = ({k: _kind(v) for k, v in one.items()} for one in (model.state_dict(), state))
    wrong = [
        f"{key} is {given.get(key, 'absent')} in the file and {own.get(key, 'absent')} in the model"
        for key in own | given
        if own.get(key) != given.get(key)
        and (key in given or not key.endswith("num_batches_tracked"))
    ]
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return "; ".join(wrong[:3]) + more


def _kind(value: Tensor) -> str:
    kind = "" if value.is_floating_point() else f" {str(value.dtype).removeprefix('torch.')}"
    return f"{tuple(value.shape)}{kind}"
