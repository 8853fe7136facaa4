"""No character that is printed makes a command fail, whatever the terminal or the pipe can express."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_node import output

ENVIRONMENTS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "strict": {"PYTHONIOENCODING": "ascii:strict"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "C": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
PRINTS = """
import sys
import vgps_node
from rich.console import Console
from rich.progress import track
from rich.table import Table
spread = chr(0xb1)
table = Table(spread, title=chr(0x201c) + "q" + chr(0x201d))
table.add_row("80 % " + spread + " 3 % " + 4 * chr(0x2588), chr(0x65e5), "na" + chr(0xef) + "ve")
for file in (sys.stdout, sys.stderr):
    console = Console(file=file, force_terminal=True)
    console.print(table, style="bold")
    console.print("a name of bytes: \\udcff\\udcfe")
    for _ in track(range(2), "judging " + chr(0x2026), console=console):
        print("progress", spread, chr(0x2192), file=file)
"""


def run(code: list[str], **environment: str) -> subprocess.CompletedProcess[bytes]:
    unset = ("PYTHONIOENCODING", "PYTHONUTF8", "LC_ALL", "LC_CTYPE", "LANG")
    clean = {k: v for k, v in os.environ.items() if k not in unset} | environment
    return subprocess.run([sys.executable, *code], env=clean, capture_output=True, timeout=120)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_tables_bars_and_signs_come_out_in_every_encoding(name):
    done = run(["-c", PRINTS], **ENVIRONMENTS[name])
    assert done.returncode == 0, done.stderr
    for text in (done.stdout, done.stderr):
        assert b"\xff\xfe" in text and b"->" in text
        assert (b"80 % \xb1 3 % ####" if name == "latin-1" else b"80 % +- 3 % ####") in text
        assert b"progress" in text and b'"q"' in text


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_help_and_errors_come_out_in_every_encoding(name):
    command = ["-m", "vgps_node.cli"]
    for arguments, code in ((["--help"], 0), (["progress", "score", "--help"], 0), (["m\u00f6hre \u00b1"], 2)):
        done = run([*command, *arguments], **ENVIRONMENTS[name])
        assert done.returncode == code and b"Traceback" not in done.stderr, done.stderr


def test_utf_8_stays_as_it_is():
    done = run(["-c", "import vgps_node; print('\u00b1 \u2588 \u65e5')"], PYTHONUTF8="1")
    assert done.stdout.decode() == "\u00b1 \u2588 \u65e5\n"


@given(st.text(st.characters()), st.sampled_from(["ascii", "latin-1", "cp437", "koi8-r", "euc-jp", "utf-8", "utf-16"]))
def test_every_text_can_be_written_in_every_encoding(text, encoding):
    output.degrade()
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=output.HANDLER)
    stream.write(text)
    stream.flush()
    if text.isascii():
        assert stream.buffer.getvalue().decode(encoding) == text.replace("\n", os.linesep)


def test_a_name_that_the_locale_cannot_express_is_an_error_in_one_sentence(monkeypatch, capsys):
    from vgps_node import cli
    from vgps_node.commands import doctor

    def fails(arguments, *, prog):
        "m\u00f6hre.mp4".encode("ascii")

    monkeypatch.setattr(doctor, "main", fails)
    assert cli.main(["doctor"]) == 1
    assert "error: this locale has no encoding for 'm\\xf6hre.mp4'; set PYTHONUTF8=1" in capsys.readouterr().err
