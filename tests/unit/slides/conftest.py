"""Small files as the makers of scanners write them, and the pixels that were put into them."""

from __future__ import annotations

import base64
import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import zoom

NDPI_LONG, NDPI_SHORT, NDPI_ASCII, NDPI_RATIONAL, NDPI_FLOAT, NDPI_SLONG = 4, 3, 2, 5, 11, 9


def smooth(height, width, seed=3):
    """Pixels that JPEG changes little."""
    coarse = np.random.default_rng(seed).random((6, 8, 3))
    rows, columns = height / 6, width / 8
    image = np.stack([zoom(coarse[..., c], (rows, columns), order=1) for c in range(3)], -1)
    return (image[:height, :width] * 200 + 30).astype(np.uint8)


def halved(image):
    """Means of 2 x 2 pixels; an odd last row or column is left out."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
    return blocks.mean(axis=(1, 3)).astype(np.uint8)


def write_svs(path, image, description=None, compression="jpeg", levels=2, pictures=True):
    """An Aperio slide: baseline, thumbnail, further levels, label, macro."""
    if description is None:
        description = (
            f"Aperio Image Library v12.0.15\r\n{image.shape[1]}x{image.shape[0]} "
            "(64x64) JPEG/RGB Q=70|AppMag = 20|MPP = 0.4990"
        )
    tiles = {"tile": (64, 64), "compression": compression, "photometric": "rgb"}
    plain = {"photometric": "rgb", "metadata": None, "rowsperstrip": 16}
    with tifffile.TiffWriter(path) as writer:
        writer.write(image, description=description, metadata=None, **tiles)
        writer.write(image[:40, :50], description="Aperio\r\nthumbnail", **plain)
        level = image
        for _ in range(levels - 1):
            level = halved(level)
            writer.write(level, description="Aperio\r\nlevel", metadata=None, **tiles)
        if pictures:
            label, macro = image[:30, :20], image[:24, :70]
            writer.write(label, description="Aperio\r\nlabel 20x30", subfiletype=1, **plain)
            writer.write(macro, description="Aperio\r\nmacro 70x24", subfiletype=9, **plain)
    return path


def write_scn(path, areas, macro, nm=500, source="brightfield"):
    """A Leica slide: the glass, and areas of it given as (y, x, image) in px of level 0."""
    height = max(y + image.shape[0] for y, _, image in areas) + 64
    width = max(x + image.shape[1] for _, x, image in areas) + 64
    glass = f'sizeX="{width * nm}" sizeY="{height * nm}"'

    def described(image, ifds, view):
        sizes = [(image.shape[0] >> r, image.shape[1] >> r) for r in range(len(ifds))]
        dimensions = "".join(
            f'<dimension sizeX="{w}" sizeY="{h}" r="{r}" ifd="{ifd}"/>'
            for r, (ifd, (h, w)) in enumerate(zip(ifds, sizes, strict=True))
        )
        return (
            f'<image name="i{ifds[0]}"><device model="Leica SCN400" version="1.4"/>'
            f'<pixels sizeX="{image.shape[1]}" sizeY="{image.shape[0]}">{dimensions}</pixels>'
            f"<view {view}/><scanSettings><objectiveSettings><objective>20</objective>"
            "</objectiveSettings><illuminationSettings><numericalAperture>0.4"
            f"</numericalAperture><illuminationSource>{source}</illuminationSource>"
            "</illuminationSettings></scanSettings></image>"
        )

    xml = described(macro, [0], f'{glass} offsetX="0" offsetY="0"')
    for number, (y, x, image) in enumerate(areas):
        size = f'sizeX="{image.shape[1] * nm}" sizeY="{image.shape[0] * nm}"'
        offset = f'offsetX="{x * nm}" offsetY="{y * nm}"'
        xml += described(image, [1 + 2 * number, 2 + 2 * number], f"{size} {offset}")
    namespace = "http://www.leica-microsystems.com/scn/2010/10/01"
    description = (
        f'<?xml version="1.0"?><scn xmlns="{namespace}"><collection name="c" {glass}>'
        f"<barcode></barcode>{xml}</collection></scn>"
    )
    options = {"tile": (64, 64), "photometric": "rgb", "metadata": None, "compression": "jpeg"}
    resolution = {"resolution": (1e7 / nm, 1e7 / nm), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(macro, description=description, **options)
        for _, _, image in areas:
            writer.write(image, **options, **resolution)
            writer.write(halved(image), **options)
    return path


def write_philips(path, image, levels=2, spacing_mm=0.00025):
    """A Philips TIFF, whose lower levels are padded to whole tiles, with a label in its XML."""

    def spacing(factor):
        value = f"&quot;{spacing_mm * factor}&quot;"
        return (
            '<DataObject ObjectType="PixelDataRepresentation"><Attribute '
            f'Name="DICOM_PIXEL_SPACING" PMSVR="IDoubleArray">{value} {value}</Attribute>'
            "</DataObject>"
        )

    label = io.BytesIO()
    Image.fromarray(image[:16, :24]).save(label, "JPEG", quality=95)
    text = base64.b64encode(label.getvalue()).decode()
    description = (
        '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport">'
        '<Attribute Name="PIM_DP_SCANNED_IMAGES"><Array>'
        '<DataObject ObjectType="DPScannedImage">'
        '<Attribute Name="PIM_DP_IMAGE_TYPE">WSI</Attribute>'
        '<Attribute Name="DICOM_PIXEL_SPACING" PMSVR="IDoubleArray">'
        f"&quot;{spacing_mm}&quot; &quot;{spacing_mm}&quot;</Attribute>"
        '<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE"><Array>'
        f"{''.join(spacing(2**level) for level in range(levels))}</Array></Attribute>"
        "</DataObject>"
        '<DataObject ObjectType="DPScannedImage">'
        '<Attribute Name="PIM_DP_IMAGE_TYPE">LABELIMAGE</Attribute>'
        f'<Attribute Name="PIM_DP_IMAGE_DATA">{text}</Attribute></DataObject>'
        '<DataObject ObjectType="DPScannedImage">'
        '<Attribute Name="PIM_DP_IMAGE_TYPE">MACROIMAGE</Attribute>'
        f'<Attribute Name="PIM_DP_IMAGE_DATA">{text}</Attribute></DataObject>'
        "</Array></Attribute></DataObject>"
    )
    options = {"tile": (64, 64), "photometric": "rgb", "metadata": None, "compression": "jpeg"}
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        level = image
        for number in range(levels):
            beyond = [(0, -level.shape[0] % 64), (0, -level.shape[1] % 64), (0, 0)]
            padded = np.pad(level, beyond, mode="edge")
            words = {"description": description} if number == 0 else {"description": "level"}
            writer.write(
                padded if number else level,
                software="Philips DP v1.0",
                subfiletype=1 if number else 0,
                **words,
                **options,
            )
            level = halved(level)
    return path


def write_bif(path, image, overlap):
    """A Ventana slide of 2 x 2 tiles of 64 px, neighbours sharing `overlap` columns and rows."""
    joints = "".join(
        f'<TileJointInfo FlagJoined="1" Confidence="99" Direction="{direction}" Tile1="{a}" '
        f'Tile2="{b}" OverlapX="{overlap if direction == "RIGHT" else 0}" '
        f'OverlapY="{overlap if direction == "UP" else 0}"/>'
        for direction, a, b in (("RIGHT", 1, 2), ("UP", 1, 4), ("UP", 2, 3), ("RIGHT", 4, 3))
    )
    scan = b'<iScan ScanRes="0.465" Magnification="20" Z-layers="1"/>'
    joined = (
        '<EncodeInfo><SlideInfo/><SlideStitchInfo><ImageInfo AOIScanned="1" Width="64" '
        f'Height="64" NumRows="2" NumCols="2" Pos-X="0" Pos-Y="0">{joints}'
        "</ImageInfo></SlideStitchInfo>"
        '<AoiOrigin><AOI0 OriginX="0" OriginY="0"/></AoiOrigin></EncodeInfo>'
    ).encode()
    step = 64 - overlap
    rows = [[image[y : y + 64, x : x + 64] for x in (0, step)] for y in (0, step)]
    grid = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    options = {"photometric": "rgb", "metadata": None, "software": "ScanOutputManager 1.1"}
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(
            image[:20, :30],
            description="Label Image",
            extratags=[(700, 1, len(scan), scan, True)],
            **options,
        )
        writer.write(
            grid,
            tile=(64, 64),
            compression="jpeg",
            description="level=0 mag=20 quality=95",
            extratags=[(700, 1, len(joined), joined, True)],
            **options,
        )
    return path


def write_qptiff(path, image):
    """An Akoya slide in bright field: full resolution, thumbnail, a level, macro, label."""

    def words(kind):
        return (
            f"<PerkinElmer-QPI-ImageDescription><ImageType>{kind}</ImageType>"
            "</PerkinElmer-QPI-ImageDescription>"
        )

    options = {"photometric": "rgb", "metadata": None, "software": "PerkinElmer-QPI"}
    tiles = {"tile": (64, 64), "compression": "jpeg"}
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(
            image,
            description=words("FullResolution"),
            resolution=(20000.0, 20000.0),
            resolutionunit="CENTIMETER",
            **tiles,
            **options,
        )
        writer.write(image[:40, :40], description=words("Thumbnail"), **options)
        writer.write(halved(image), description=words("ReducedResolution"), **tiles, **options)
        writer.write(image[:30, :60], description=words("Overview"), **options)
        writer.write(image[:30, :20], description=words("Label"), **options)
    return path


# ------------------------------------------------------------------ Hamamatsu


def restart_jpeg(image, blocks):
    """A JPEG with a restart marker every `blocks` blocks of 8 x 8, and where each part begins."""
    file = io.BytesIO()
    Image.fromarray(image).save(
        file, "JPEG", quality=95, subsampling=0, restart_marker_blocks=blocks
    )
    data = file.getvalue()
    scan = data.index(b"\xff\xda")
    first = scan + 2 + struct.unpack(">H", data[scan + 2 : scan + 4])[0]
    later = [
        i + 2
        for i in range(first, len(data) - 1)
        if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7
    ]
    return data, [first, *later]


class NdpiWriter:
    """Hamamatsu's TIFF: 32 bits in the header, 64 in the offsets, one JPEG for each level."""

    def __init__(self, path):
        self._file = Path(path).open("wb")  # noqa: SIM115 - closed by `close`
        self._file.write(b"II*\0" + b"\0" * 8)
        self._link = 4

    def skip_to(self, offset):
        """Leave a hole, so that what follows lies far behind."""
        self._file.seek(offset)

    def write(self, image, magnification, mpp=None, blocks=4, focus=0):
        data, starts = restart_jpeg(image, blocks)
        place = self._file.tell()
        self._file.write(data)
        tags = [
            (256, NDPI_LONG, [image.shape[1]]),
            (257, NDPI_LONG, [image.shape[0]]),
            (258, NDPI_SHORT, [8, 8, 8]),
            (259, NDPI_SHORT, [7]),
            (262, NDPI_SHORT, [6]),
            (271, NDPI_ASCII, b"Hamamatsu\0"),
            (272, NDPI_ASCII, b"C9600-12\0"),
            (273, NDPI_LONG, [place]),
            (277, NDPI_SHORT, [3]),
            (278, NDPI_LONG, [image.shape[0]]),
            (279, NDPI_LONG, [len(data)]),
            (305, NDPI_ASCII, b"NDP.scan\0"),
            (65420, NDPI_LONG, [1]),
            (65421, NDPI_FLOAT, [float(magnification)]),
            (65424, NDPI_SLONG, [focus]),
        ]
        if magnification > 0:
            tags.append((65426, NDPI_LONG, starts))
        if mpp:
            pixels_per_cm = round(10000 / mpp)
            tags += [
                (282, NDPI_RATIONAL, [pixels_per_cm, 1]),
                (283, NDPI_RATIONAL, [pixels_per_cm, 1]),
                (296, NDPI_SHORT, [3]),
            ]
        self._directory(sorted(tags))

    def _directory(self, tags):
        codes = {NDPI_LONG: "I", NDPI_SHORT: "H", NDPI_FLOAT: "f", NDPI_RATIONAL: "I"}
        codes[NDPI_SLONG] = "i"
        entries, high = [], []
        for code, kind, values in tags:
            if isinstance(values, bytes):
                data, count = values, len(values)
            elif kind == NDPI_LONG and len(values) == 1:
                data, count = struct.pack("<Q", values[0]), 1  # both halves stand in the tag
            else:
                data = struct.pack(f"<{len(values)}{codes[kind]}", *values)
                count = len(values) // (2 if kind == NDPI_RATIONAL else 1)
            if len(data) <= 4 or (kind == NDPI_LONG and count == 1):
                data = data.ljust(8, b"\0")
            else:
                place = self._file.tell()
                self._file.write(data + b"\0" * (len(data) % 2))
                data = struct.pack("<Q", place)
            entries.append(struct.pack("<HHI", code, kind, count) + data[:4])
            high.append(data[4:8])
        place = self._file.tell()
        self._file.write(struct.pack("<H", len(tags)) + b"".join(entries))
        link = self._file.tell()
        self._file.write(b"\0" * 8 + b"".join(high))
        end = self._file.tell()
        self._file.seek(self._link)
        self._file.write(struct.pack("<Q", place))
        self._file.seek(end)
        self._link = link

    def close(self):
        self._file.close()


def write_ndpi(path, image, mpp=0.46, hole=0, planes=(0,)):
    """A Hamamatsu slide of two levels, with macro photograph and map."""
    writer = NdpiWriter(path)
    if hole:
        writer.skip_to(hole)
    for focus in planes:
        shown = image if focus == 0 else 255 - image
        writer.write(shown, 20, mpp, focus=focus)
        writer.write(np.ascontiguousarray(halved(shown)), 10, 2 * mpp, focus=focus)
    writer.write(image[:16, :64], -1)
    writer.write(image[:16, :32], -2)
    writer.close()
    return path


def write_vms(folder, image):
    """A Hamamatsu VMS: a text file that names JPEGs with restart markers."""
    for name, pixels in (("image", image), ("map", halved(halved(image))), ("macro", image[:16])):
        (folder / f"{name}.jpg").write_bytes(restart_jpeg(np.ascontiguousarray(pixels), 4)[0])
    (folder / "image.opt").write_bytes(b"")
    path = folder / "case.vms"
    path.write_text(
        "[Virtual Microscope Specimen]\nNoLayers=1\nNoJpegColumns=1\nNoJpegRows=1\n"
        "ImageFile=image.jpg\nMapFile=map.jpg\nOptimisationFile=image.opt\n"
        f"PhysicalWidth={image.shape[1] * 460}\nPhysicalHeight={image.shape[0] * 460}\n"
        "PhysicalMacroWidth=100000\nPhysicalMacroHeight=100000\nMacroImage=macro.jpg\n"
        "SourceLens=20\n"
    )
    return path


class SlideFiles:
    """The writers, for tests to call."""

    smooth = staticmethod(smooth)
    halved = staticmethod(halved)
    svs = staticmethod(write_svs)
    scn = staticmethod(write_scn)
    philips = staticmethod(write_philips)
    bif = staticmethod(write_bif)
    qptiff = staticmethod(write_qptiff)
    ndpi = staticmethod(write_ndpi)
    vms = staticmethod(write_vms)


@pytest.fixture(scope="session")
def slide_files():
    """Writers of small files of every make."""
    return SlideFiles
