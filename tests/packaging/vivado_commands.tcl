# Stand-ins for the Vivado commands that the packaging script may use, on the ports of the Verilog.
# `verilog` (module -> ports, from the test) is all they know; `infers` says whether packaging a
# project finds interfaces by itself. What is not here, or is called otherwise, is an error.

array set bus {}      ;# core/interface -> type, ports
array set parameter {};# core/interface/parameter -> value
array set property {} ;# object/property -> value
array set map {}      ;# core/map -> address blocks
set packaged {}
set project {}

proc options {arguments allowed} {
    # -> dict of options, and the rest under "". 0 after an option: it takes no value.
    set found [dict create "" {}]
    while {[llength $arguments]} {
        set arguments [lassign $arguments word]
        if {![string match -* $word]} { dict lappend found "" $word; continue }
        if {![dict exists $allowed $word]} { error "no option $word" }
        if {[dict get $allowed $word]} {
            if {![llength $arguments]} { error "$word: no value" }
            set arguments [lassign $arguments value]
        } else { set value 1 }
        dict set found $word $value
    }
    return $found
}

proc count {words number} {
    if {[llength $words] != $number} { error "$words: not $number arguments" }
    return $words
}

proc create_project {args} {
    set given [options $args {-force 0 -part 1 -in_memory 0}]
    if {$::project ne {}} { error "a project is open" }
    set ::project [count [dict get $given ""] 2]
    if {[dict exists $given -part] && [dict get $given -part] eq ""} { error "-part: empty" }
    set ::files {}
}

proc add_files {args} {
    foreach file [dict get [options $args {-norecurse 0 -fileset 1}] ""] {
        if {![file exists $file]} { error "$file: no such file" }
        lappend ::files $file
    }
}

proc current_fileset {} { return sources_1 }
proc update_compile_order {args} { options $args {-fileset 1} }

proc set_property {name value object} {
    if {$object eq ""} { error "$name: of no object" }
    if {$name eq "slave_memory_map_ref" && ![info exists ::map($::core_name/$value)]} {
        error "no memory map $value"
    }
    set ::property($object/$name) $value
}

proc close_project {args} {
    options $args {-delete 0}
    set ::project {}
}

namespace eval ipx {
    proc package_project {args} {
        set given [options $args {-root_dir 1 -vendor 1 -library 1 -taxonomy 1 -import_files 0
            -force 0 -set_current 1}]
        count [dict get $given ""] 0
        set top $::property(sources_1/top)
        if {[file tail $::files] ne "$top.v"} { error "$top is not in $::files" }
        set ::core_name $top
        lappend ::packaged $top [dict get $given -root_dir]
        if {!$::infers} return
        foreach {name type} {s_axil aximm s_axis axis m_axis axis} {
            set ports [lsearch -all -inline [dict get $::verilog $top] ${name}_*]
            if {[llength $ports]} {
                infer_bus_interface $ports xilinx.com:interface:${type}_rtl:1.0 $top
            }
        }
        infer_bus_interface aclk xilinx.com:signal:clock_rtl:1.0 $top
        infer_bus_interface aresetn xilinx.com:signal:reset_rtl:1.0 $top
        set ::parameter($top/aresetn/POLARITY) ACTIVE_LOW
        if {[info exists ::bus($top/s_axil)]} { set ::map($top/s_axil) reg0 }
    }
    proc current_core {} { return $::core_name }
    proc core {name} { if {$name ne $::core_name} { error "$name is not the core" } }

    proc infer_bus_interface {ports type core} {
        core $core
        if {![regexp {^xilinx\.com:(interface|signal):(\w+)_rtl:1\.0$} $type - group kind]} {
            error "$type: no such interface"
        }
        foreach port $ports {
            if {$port ni [dict get $::verilog $core]} { error "$core has no port $port" }
        }
        set must [dict create aximm {awaddr awvalid awready wdata wstrb wvalid wready bresp bvalid
            bready araddr arvalid arready rdata rresp rvalid rready} axis {tdata tvalid tready}]
        if {$group eq "signal"} {
            if {$kind ni {clock reset interrupt}} { error "$type: no such signal" }
            set name [count $ports 1]
        } else {
            regexp {^(.*)_[a-z]+$} [lindex $ports 0] - name
            foreach port [dict get $must $kind] {
                if {"${name}_$port" ni $ports} { error "$type: no ${name}_$port" }
            }
        }
        if {[info exists ::bus($core/$name)]} { error "$name is there" }
        set ::bus($core/$name) [list $kind $ports]
    }

    proc of {table arguments what} {
        set given [options $arguments {-quiet 0 -of_objects 1}]
        upvar #0 $table known
        set object [dict get $given -of_objects]
        set pattern [expr {[llength [dict get $given ""]] ? [dict get $given ""] : "*"}]
        set found [array names known $object/$pattern]
        if {![llength $found] && ![dict exists $given -quiet]} { error "no $what $pattern" }
        return $found
    }
    proc get_bus_interfaces {args} { of bus $args "bus interface" }
    proc get_bus_parameters {args} { of parameter $args "parameter" }
    proc add_bus_parameter {name interface} { set ::parameter($interface/$name) {} }
    proc get_memory_maps {args} { of map $args "memory map" }
    proc add_memory_map {name core} { core $core; set ::map($core/$name) {} }
    proc get_address_blocks {args} {
        set given [options $args {-quiet 0 -of_objects 1}]
        return [lmap block $::map([dict get $given -of_objects]) {
            string cat [dict get $given -of_objects] / $block
        }]
    }
    proc add_address_block {name map} { lappend ::map($map) $name }

    proc associate_bus_interfaces {args} {
        set given [options $args {-busif 1 -clock 1 -reset 1}]
        core [count [dict get $given ""] 1]
        foreach {option kinds} {-busif {aximm axis} -clock clock -reset reset} {
            if {![dict exists $given $option]} continue
            set name $::core_name/[dict get $given $option]
            if {![info exists ::bus($name)] || [lindex $::bus($name) 0] ni $kinds} {
                error "$option $name: no such interface"
            }
        }
        set clock $::core_name/[dict get $given -clock]
        foreach option {-busif -reset} {
            if {[dict exists $given $option]} {
                lappend ::property($clock/$option) [dict get $given $option]
            }
        }
    }
    foreach step {create_xgui_files update_checksums check_integrity} {
        proc $step {core} { core $core }
    }
    proc save_core {core} { core $core; set ::property($core/saved) 1 }
}
