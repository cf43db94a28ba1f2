from os import PathLike
from typing import Callable, Dict, Iterable, Mapping, Optional, Tuple, TypedDict, TypeVar, Union

import numpy as np
from numpy.typing import NDArray

_Array = TypeVar("_Array", NDArray[np.uint8], NDArray[np.uint16], NDArray[np.float32])
_Progress = Callable[[int, int], Optional[bool]]

__version__: str

class Diagnosis(TypedDict):
    faults: Dict[str, float]
    confidence: Dict[str, float]
    fine: bool

class Cancelled(Exception): ...

class Restorer:
    def __init__(self, weights: Union[str, PathLike[str], None] = None, device: str = "auto") -> None: ...
    @property
    def device(self) -> str: ...
    def restore(
        self,
        array: _Array,
        strength: float = 1.0,
        progress: Optional[_Progress] = None,
        *,
        tile: Optional[int] = None,
        memory: Optional[int] = None,
        self_ensemble: bool = False,
        only: Optional[Iterable[str]] = None,
        removal: Optional[Mapping[str, float]] = None,
        icc: Optional[bytes] = None,
    ) -> _Array: ...
    def restore_with_uncertainty(
        self,
        array: _Array,
        strength: float = 1.0,
        progress: Optional[_Progress] = None,
        *,
        tile: Optional[int] = None,
        memory: Optional[int] = None,
        self_ensemble: bool = False,
        only: Optional[Iterable[str]] = None,
        removal: Optional[Mapping[str, float]] = None,
        icc: Optional[bytes] = None,
    ) -> Tuple[_Array, NDArray[np.float32]]: ...
    def diagnose(self, array: _Array, *, icc: Optional[bytes] = None) -> Diagnosis: ...

def restore(
    array: _Array,
    strength: float = 1.0,
    device: str = "auto",
    progress: Optional[_Progress] = None,
    *,
    weights: Union[str, PathLike[str], None] = None,
    tile: Optional[int] = None,
    memory: Optional[int] = None,
    self_ensemble: bool = False,
    only: Optional[Iterable[str]] = None,
    removal: Optional[Mapping[str, float]] = None,
    icc: Optional[bytes] = None,
) -> _Array: ...
def restore_with_uncertainty(
    array: _Array,
    strength: float = 1.0,
    device: str = "auto",
    progress: Optional[_Progress] = None,
    *,
    weights: Union[str, PathLike[str], None] = None,
    tile: Optional[int] = None,
    memory: Optional[int] = None,
    self_ensemble: bool = False,
    only: Optional[Iterable[str]] = None,
    removal: Optional[Mapping[str, float]] = None,
    icc: Optional[bytes] = None,
) -> Tuple[_Array, NDArray[np.float32]]: ...
def diagnose(
    array: _Array,
    device: str = "auto",
    *,
    weights: Union[str, PathLike[str], None] = None,
    icc: Optional[bytes] = None,
) -> Diagnosis: ...
