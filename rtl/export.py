"""A component as one Verilog text that every tool reads: plain identifiers, no initial values.

What Yosys writes is legal, but leans on rarely used corners: escaped names like `\\$12 `, registers
with initial values that an ASIC does not have, ranges [-1:0], processes that wait for a constant to
change. `tidy` puts these right, line by line, and touches nothing else.
"""

from __future__ import annotations

import re

from amaranth.back import verilog as amaranth_verilog
from amaranth.lib import wiring

KEYWORDS = frozenset(
    # Verilog 2005
    """always and assign automatic begin buf bufif0 bufif1 case casex casez cell cmos config
    deassign default defparam design disable edge else end endcase endconfig endfunction endgenerate
    endmodule endprimitive endspecify endtable endtask event for force forever fork function
    generate genvar highz0 highz1 if ifnone incdir include initial inout input instance integer join
    large liblist library localparam macromodule medium module nand negedge nmos nor
    noshowcancelled not notif0 notif1 or output parameter pmos posedge primitive pull0 pull1
    pulldown pullup pulsestyle_onevent pulsestyle_ondetect rcmos real realtime reg release repeat
    rnmos rpmos rtran rtranif0 rtranif1 scalared showcancelled signed small specify specparam
    strong0 strong1 supply0 supply1 table task time tran tranif0 tranif1 tri tri0 tri1 triand trior
    trireg unsigned use uwire vectored wait wand weak0 weak1 while wire wor xnor xor""".split()
)
ADDED_KEYWORDS = frozenset(
    # SystemVerilog 2017, which most tools read a .v file as; none is a keyword of what Yosys writes
    """accept_on alias always_comb always_ff always_latch assert assume before bind bins binsof bit
    break byte chandle checker class clocking const constraint context continue cover covergroup
    coverpoint cross dist do endchecker endclass endclocking endgroup endinterface endpackage
    endprogram endproperty endsequence enum eventually expect export extends extern final
    first_match foreach forkjoin global iff ignore_bins illegal_bins implements implies import
    inside int interconnect interface intersect join_any join_none let local logic longint matches
    modport nettype new nexttime null package packed priority program property protected pure rand
    randc randcase randsequence ref reject_on restrict return s_always s_eventually s_nexttime
    s_until s_until_with sequence shortint shortreal soft solve static string strong struct super
    sync_accept_on sync_reject_on tagged this throughout timeprecision timeunit type typedef union
    unique unique0 until until_with untyped var virtual void wait_order weak wildcard
    with within""".split()
)

_TOKEN = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "[^"]*"      # comments, strings: as they are
    | \\(?P<escaped>\S+)\ ?                  # an escaped name, up to its space
    | \d*'s?[bodh][0-9a-fA-FxXzZ_?]+         # a number
    | (?P<word>[A-Za-z_][\w$]*)""",
    re.VERBOSE | re.DOTALL,
)
_END = "endmodule\n"
_START = re.compile(r"\$auto\$verilog_backend\.cc:\d+:dump_module\$(\d+)")
_EMPTY_RANGE = re.compile(r"^ *(?:wire|reg) \[-1:0\] (\S+) ?;\n", re.MULTILINE)
_INITIAL_VALUE = re.compile(r"^( *reg (?:\[\d+:\d+\] )?\S+ ?) = \d+'[hd][0-9a-f]+;$", re.MULTILINE)
_EMPTY_CHOICE = re.compile(r"\(\* full_case = 32'd1 \*\)\n *\n")
_CONSTANT_PROCESS = re.compile(
    r"^  always @\*\n(?P<line>    (?P<name>\S+?) ?\[[\d:]+\] = \d+'[hd][0-9a-f]+;\n)", re.MULTILINE
)
_PROCESS = (
    r"(?m)^(  always @\* begin\n    if \(\S+ \) begin end\n)"
    r"(?=(?:    .*\n)*? +.*(?<![\w$.])NAME ?[\[ ].*= )"
)


def verilog(component: wiring.Component, name: str, title: str) -> str:
    """The Verilog of a component as module `name`, all modules below it prefixed with that.

    `title` is a comment at its head. The text is the same from run to run, has no path in it, and
    depends on the versions of Amaranth and of its Yosys.
    """
    text = amaranth_verilog.convert(component, name, emit_src=False, strip_internal_attrs=True)
    return f"// {title}\n" + tidy(text, name)


def tidy(text: str, name: str) -> str:
    """See the head of the file; `name` is the top module."""
    _, _, body = text.partition("*/\n\n")
    body = _INITIAL_VALUE.sub(r"\1;", body)
    body = _EMPTY_CHOICE.sub("/* empty */;\n", body)
    modules = body.split(_END)
    for repair in (_without_empty_ranges, _without_constant_processes):
        modules = [repair(module) for module in modules]
    return _with_plain_names(_END.join(modules), name)


def _without_empty_ranges(module: str) -> str:
    """Without the addresses of memories of one word: [-1:0] would be two bits."""
    names = [found[1] for found in _EMPTY_RANGE.finditer(module)]
    module = _EMPTY_RANGE.sub("", module)
    for name in names:
        if re.search(rf"(?<![\w$\\.]){re.escape(name)}(?![\w$])", module):
            raise ValueError(f"{name}: a signal without bits is used")
    return module


def _without_constant_processes(module: str) -> str:
    """Bits that never change join the process of their signal's other bits.

    `always @*` with nothing to wait for never runs in some simulators.
    """
    kept, place = [], 0
    lines: dict[str, list[str]] = {}
    for found in _CONSTANT_PROCESS.finditer(module):
        kept.append(module[place : found.start()])
        place = found.end()
        lines.setdefault(found["name"], []).append(found["line"])
    module = "".join(kept) + module[place:]
    for name, constants in lines.items():
        other = re.search(_PROCESS.replace("NAME", re.escape(name)), module)
        if other is None:
            raise ValueError(f"{name}: constant bits, and no process for the others")
        module = module[: other.end()] + "".join(constants) + module[other.end() :]
    return module


def _with_plain_names(text: str, name: str) -> str:
    """Escaped names, and words that SystemVerilog keeps for itself, made plain; one to one."""
    taken = set(re.findall(r"(?<![\w$\\])[A-Za-z_][\w$]*", text)) | KEYWORDS | ADDED_KEYWORDS
    plain: dict[str, str] = {}

    def rename(token: re.Match[str]) -> str:
        found = token["escaped"] or token["word"]
        if found is None or (token["word"] and found not in ADDED_KEYWORDS):
            return token[0]
        if found not in plain:
            wish = _wish(found, name)
            plain[found], number = wish, 2
            while plain[found] in taken:
                plain[found], number = f"{wish}_{number}", number + 1
            taken.add(plain[found])
        return plain[found]

    return _TOKEN.sub(rename, text)


def _wish(name: str, top: str) -> str:
    """What a name should become, if that is free."""
    if start := _START.fullmatch(name):
        return f"start_{start[1]}"
    if name.startswith(f"{top}."):
        # Of two submodules of one name Amaranth numbers one; their parents tell them apart.
        name = re.sub(r"\$\d+", "", name)
    if name[0] == "$" and name[1:].isdigit():
        return f"net_{name[1:]}"
    wish = re.sub(r"\W+", "_", name).strip("_") or "net"
    return f"{wish}_" if wish in KEYWORDS | ADDED_KEYWORDS else wish
