"""The register map for other people's tools: SystemRDL, and from it HTML, a C header and IP-XACT.

python -m crosstile.register_documents writes docs/registers.md, for a checkout.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from spec.errors import InputError
from spec.presets import preset
from spec.register_documents import markdown, system_rdl
from spec.tile import TileSpec
from synth.packaging import LIBRARY, VENDOR, VERSION

DOCUMENT = Path("docs/registers.md")
DOCUMENT_PRESET = "paper"


def write_register_documents(spec: TileSpec, name: str, folder: Path) -> tuple[Path, ...]:
    """Write NAME.rdl, NAME.h, NAME.xml (IP-XACT 2014) and html/ into a folder; returns their paths.

    Raises InputError where PeakRDL is not installed. The files are the same for the same tile.
    """
    try:
        from peakrdl_cheader.exporter import CHeaderExporter
        from peakrdl_html import HTMLExporter
        from peakrdl_ipxact import IPXACTExporter
        from systemrdl.compiler import RDLCompiler
    except ImportError as error:
        raise InputError(f"{error.name} is missing: pip install 'crosstile[hdl]'") from None
    folder.mkdir(parents=True, exist_ok=True)
    source, header = folder / f"{name}.rdl", folder / f"{name}.h"
    ip_xact, pages = folder / f"{name}.xml", folder / "html"
    source.write_text(system_rdl(spec, name), encoding="utf-8")
    compiler = RDLCompiler()
    compiler.compile_file(str(source))
    top = compiler.elaborate().top
    HTMLExporter(generate_source_links=False).export(top, str(pages))
    _forget_the_time(pages / "index.html", source)
    CHeaderExporter().export(top, str(header))
    _align(header)
    IPXACTExporter(vendor=VENDOR, library=LIBRARY, version=VERSION).export(top, str(ip_xact))
    return source, header, ip_xact, pages


def _forget_the_time(page: Path, source: Path) -> None:
    """The page has a time so that browsers load it anew; the content serves that as well."""
    text = page.read_text(encoding="utf-8")
    if found := re.search(r"BUILD_TS = (\d+)", text):
        content = str(zlib.crc32(source.read_bytes()))
        page.write_text(text.replace(found[1], content), encoding="utf-8")


def _align(header: Path) -> None:
    """A packed struct alone is aligned to a byte: a RISC-V would write registers byte by byte."""
    text = header.read_text(encoding="utf-8")
    aligned = text.replace("((__packed__))", "((__packed__, __aligned__(4)))")
    header.write_text(aligned, encoding="utf-8")


def main() -> None:
    """Write the document that lies in the repository."""
    DOCUMENT.write_text(markdown(preset(DOCUMENT_PRESET), DOCUMENT_PRESET), encoding="utf-8")


if __name__ == "__main__":
    main()
