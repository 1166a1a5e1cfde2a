"""A script that makes Vivado IPs of the tile and of its array's stub.

Vivado itself has not run it: tests/packaging does, against stand-ins for Vivado's commands.
"""

from __future__ import annotations

from rtl.macro_stub import stub_name
from rtl.top import module_name
from spec.ports import PORTS
from spec.registers import ADDRESS_BITS
from spec.tile import TileSpec
from synth.packaging import LIBRARY, VENDOR, VERSION

FILE = "vivado/package_ip.tcl"
INTERFACES = {"s_axil": "aximm", "s_axis": "axis", "m_axis": "axis"}
"""Prefixes of ports that are a bus, and Vivado's name for its kind."""


def text(spec: TileSpec) -> str:
    """The script; it lies in a folder of the one that has the Verilog."""
    top, stub = module_name(spec), stub_name(spec)
    interfaces = [
        f"bus {name} {kind} {{\n    {_ports(name)}\n}}" for name, kind in INTERFACES.items()
    ]
    lines = [
        f"# Makes Vivado IPs of {top} and {stub}:",
        f"#     vivado -mode batch -source {FILE} [-tclargs PART]",
        "# They lie in vivado/ip, a folder for a project's ip_repo_paths. PART is any device that",
        "# is installed; the IPs are for all families.",
        _PROCEDURES,
        f'begin_ip {top} "Training tile, {spec.rows} x {spec.columns}"',
        *interfaces,
        "signal irq interrupt SENSITIVITY LEVEL_HIGH",
        f"clock_and_reset {{{' '.join(INTERFACES)}}}",
        f"memory_map s_axil {1 << ADDRESS_BITS}",
        "end_ip",
        "",
        f'begin_ip {stub} "Array stub, {spec.rows} x {spec.columns}"',
        "clock_and_reset {}",
        "end_ip",
        "",
    ]
    return "\n".join(lines)


def _ports(prefix: str) -> str:
    return " ".join(port.name for port in PORTS if port.name.startswith(f"{prefix}_"))


_PROCEDURES = f"""
set here [file dirname [file normalize [info script]]]
set part [lindex $argv 0]

proc begin_ip {{module description}} {{
    global here part core
    set device [expr {{$part eq "" ? {{}} : [list -part $part]}}]
    create_project -force {{*}}$device package_$module [file join $here project]
    add_files -norecurse [file join $here .. $module.v]
    set_property top $module [current_fileset]
    update_compile_order -fileset sources_1
    ipx::package_project -root_dir [file join $here ip $module] -vendor {VENDOR} \\
        -library {LIBRARY} -taxonomy /UserIP -import_files -force -set_current true
    set core [ipx::current_core]
    foreach {{property value}} [list name $module version {VERSION.rpartition(".")[0]} \\
            display_name $module description $description vendor_display_name {VENDOR} \\
            supported_families {{}} auto_family_support_level level_2] {{
        set_property $property $value $core
    }}
}}

proc end_ip {{}} {{
    global core
    ipx::create_xgui_files $core
    ipx::update_checksums $core
    ipx::check_integrity $core
    ipx::save_core $core
    close_project -delete
}}

# Vivado infers interfaces by their ports' names. What it did not is inferred here, so that the IP
# does not depend on what a version knows.
proc interface {{name type ports}} {{
    global core
    if {{[llength [ipx::get_bus_interfaces -quiet $name -of_objects $core]] == 0}} {{
        ipx::infer_bus_interface $ports $type $core
    }}
    set found [ipx::get_bus_interfaces -quiet $name -of_objects $core]
    if {{[llength $found] == 0}} {{ error "$name: no interface $type in $ports" }}
    return $found
}}

proc bus {{name kind ports}} {{ interface $name xilinx.com:interface:${{kind}}_rtl:1.0 $ports }}

proc signal {{port kind parameter value}} {{
    set found [interface $port xilinx.com:signal:${{kind}}_rtl:1.0 $port]
    if {{[llength [ipx::get_bus_parameters -quiet $parameter -of_objects $found]] == 0}} {{
        ipx::add_bus_parameter $parameter $found
    }}
    set_property value $value [ipx::get_bus_parameters $parameter -of_objects $found]
}}

proc clock_and_reset {{buses}} {{
    global core
    interface aclk xilinx.com:signal:clock_rtl:1.0 aclk
    signal aresetn reset POLARITY ACTIVE_LOW
    foreach name $buses {{ ipx::associate_bus_interfaces -busif $name -clock aclk $core }}
    ipx::associate_bus_interfaces -clock aclk -reset aresetn $core
}}

proc memory_map {{name bytes}} {{
    global core
    if {{[llength [ipx::get_memory_maps -quiet $name -of_objects $core]] == 0}} {{
        ipx::add_memory_map $name $core
        set_property slave_memory_map_ref $name [ipx::get_bus_interfaces $name -of_objects $core]
    }}
    set map [ipx::get_memory_maps $name -of_objects $core]
    if {{[llength [ipx::get_address_blocks -quiet -of_objects $map]] == 0}} {{
        ipx::add_address_block reg0 $map
    }}
    set_property range $bytes [ipx::get_address_blocks -of_objects $map]
}}
"""
