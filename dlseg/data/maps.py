"""Maps: TIFF files that say where on Earth their pixels lie, which a picture's labels do not."""

import shlex
from contextlib import suppress
from pathlib import Path

from dlseg.data.decode import open_file
from dlseg.data.faults import DataError, Fault
from dlseg.data.formats import format_of, tiff_tags

# GeoTIFF 1.1 (OGC 19-008r4), section 7.1.3: pixel scale, tie points, transformation, keys; and what
# GDAL adds: metadata, and the value of pixels without data.
TAGS = {33550, 33922, 34264, 34735, 42112, 42113}
BITS, CHANNELS = 258, 277  # tags of any TIFF
CUT = "mkdir -p tiles && gdal_retile.py -of PNG -ps 1024 1024 -targetDir tiles {}"
PLAIN = "gdal_translate -b 1 -b 2 -b 3 -ot Byte -scale {} rgb.tif && "


def check_no_map(path: Path) -> None:
    """DataError for a GeoTIFF, with GDAL's commands that cut it into tiles.

    Also for a file that cannot be opened, or is of no format that is read; a damaged one passes.
    """
    tags = {}
    with open_file(path) as file:
        if format_of(path, file) == "TIFF":
            with suppress(Exception):  # there is no end to what damaged bytes can raise
                tags = tiff_tags(file)
    if TAGS.isdisjoint(tags):
        return
    name = shlex.quote(str(path))
    plain = max(tags.get(BITS, (1,))) <= 8 and tags.get(CHANNELS, 1) in (1, 3)
    lines = CUT.format(name) if plain else PLAIN.format(name) + CUT.format("rgb.tif")
    problem = "is a GeoTIFF, a map with coordinates, and labels would come back without them"
    remedy = f"cut it into tiles by GDAL and predict the folder tiles: {lines}"
    raise DataError(Fault(path, problem, remedy))
