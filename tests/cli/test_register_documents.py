"""The documents of the registers, from SystemRDL through PeakRDL, against the table."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from crosstile.register_documents import (
    DOCUMENT,
    DOCUMENT_PRESET,
    write_register_documents,
)
from spec.ports import PORTS
from spec.presets import PRESETS
from spec.register_documents import markdown
from spec.registers import IDENTITY, Access, registers
from spec.tile import TileSpec
from synth.packaging import LIBRARY, VENDOR, VERSION

ROOT = Path(__file__).parent.parent.parent
TABLE = registers(PRESETS["small"])
NAME = "crosstile_33x16"


def test_the_document_in_the_repository_is_that_of_the_table() -> None:
    written = (ROOT / DOCUMENT).read_text(encoding="utf-8")
    assert written == markdown(PRESETS[DOCUMENT_PRESET], DOCUMENT_PRESET), "run `make docs`"


def test_the_document_names_every_field_and_its_bits() -> None:
    text = markdown(PRESETS["small"], "small")
    for register in TABLE:
        section = text.split(f"\n### {register.name}\n")[1].split("\n#")[0]
        assert f"Offset 0x{register.offset:02X}." in section
        for field in register.fields:
            top = field.low + field.width - 1
            bits = f"{top}:{field.low}" if top > field.low else f"{top}"
            assert f"| {bits} | {field.name} |" in section


def test_the_document_names_every_port() -> None:
    text = markdown(PRESETS["small"], "small").split("\n## Ports\n")[1]
    for port in PORTS:
        assert f"\n| `{port.name}` | {port.width_text} | {port.bits(PRESETS['small'])} |" in text


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    pytest.importorskip("peakrdl_html", reason="needs the hdl extra: pip install '.[hdl]'")
    folder = tmp_path_factory.mktemp("registers")
    write_register_documents(PRESETS["small"], NAME, folder)
    return folder


def test_ip_xact_has_the_table(folder: Path) -> None:
    space = "{http://www.accellera.org/XMLSchema/IPXACT/1685-2014}"

    def number(text: str | None) -> int:
        return int((text or "").removeprefix("'h"), 16)

    found = []
    for register in ElementTree.parse(folder / f"{NAME}.xml").iter(f"{space}register"):
        fields = [
            (
                field.findtext(f"{space}name"),
                int(field.findtext(f"{space}bitOffset") or -1),
                int(field.findtext(f"{space}bitWidth") or -1),
                field.findtext(f"{space}access"),
            )
            for field in register.iter(f"{space}field")
        ]
        name, offset = (register.findtext(space + key) for key in ("name", "addressOffset"))
        found.append((name, number(offset), sorted(fields, key=lambda field: field[1])))
    rights = {Access.CONSTANT: "read-only", Access.STATUS: "read-only", Access.ANSWER: "read-only"}
    rights |= {Access.COMMAND: "write-only", Access.TRIGGER: "write-only"}
    assert found == [
        (
            r.name,
            r.offset,
            [(f.name, f.low, f.width, rights.get(f.access, "read-write")) for f in r.fields],
        )
        for r in TABLE
    ]


def test_ip_xact_has_the_name_of_the_other_packages(folder: Path) -> None:
    root = ElementTree.parse(folder / f"{NAME}.xml").getroot()
    space = "{http://www.accellera.org/XMLSchema/IPXACT/1685-2014}"
    words = [root.findtext(space + key) for key in ("vendor", "library", "name", "version")]
    assert words == [VENDOR, LIBRARY, NAME, VERSION]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_c_compiles_with_the_header(folder: Path, tmp_path: Path) -> None:
    """Registers lie in its struct where they lie in the table, and are written as words.

    A struct aligned to a byte is written byte by byte where the processor cannot do otherwise.
    """
    lines = ["#include <stddef.h>", f'#include "{NAME}.h"']
    lines += [
        f'_Static_assert(offsetof({NAME}_t, {r.name}) == {r.offset}, "{r.name}");' for r in TABLE
    ]
    lines.append(f'_Static_assert(_Alignof({NAME}_t) == 4, "words");')
    (tmp_path / "driver.c").write_text("\n".join([*lines, ""]))
    command = ["gcc", "-std=c11", "-Wall", "-Werror", "-fsyntax-only", f"-I{folder}", "driver.c"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_the_c_header_has_the_table(folder: Path) -> None:
    text = (folder / f"{NAME}.h").read_text()
    found = dict(re.findall(r"#define (\w+) (0x[0-9a-f]+|\d+)$", text, re.MULTILINE))
    for register in TABLE:
        for field in register.fields:
            stem = f"{NAME.upper()}__{register.name}__{field.name}"
            assert int(found[f"{stem}_bm"], 0) == ((1 << field.width) - 1) << field.low
            assert int(found[f"{stem}_bp"], 0) == field.low
            if field.access is Access.CONSTANT:
                assert int(found[f"{stem}_reset"], 0) == field.reset
    assert f"0x{IDENTITY:x}" in text


def test_the_pages_are_there(folder: Path) -> None:
    pages = folder / "html"
    assert NAME in (pages / "index.html").read_text(encoding="utf-8")
    assert len(list((pages / "content").glob("*.html"))) >= len(TABLE)


def test_the_same_tile_gives_the_same_files_and_another_size_others(folder: Path, tmp_path) -> None:
    write_register_documents(PRESETS["small"], NAME, tmp_path / "again")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            again = tmp_path / "again" / path.relative_to(folder)
            assert again.read_bytes() == path.read_bytes(), path.name
    other: TileSpec = replace(PRESETS["small"], rows=1, columns=2048)
    source, *_ = write_register_documents(other, "crosstile_1x2048", tmp_path / "other")
    assert "} COLUMNS[31:16] = 0x800;" in source.read_text()
