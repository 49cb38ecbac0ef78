"""The smallest Python host: smoke.py HEADER LIBRARY. cffi parses the header as it is, but for what only a preprocessor reads."""

import re
import sys

from cffi import FFI


def declarations(path):
    """The header without includes and conditions; constants without parentheses."""
    kept, depth = [], 0
    with open(path, encoding="utf-8") as header:
        for line in header:
            directive = line.split(None, 1)[0] if line.startswith("#") else ""
            if directive in ("#ifdef", "#if"):
                depth += 1
            elif directive == "#endif":
                depth = max(0, depth - 1)
            elif directive in ("#include", "#ifndef") or line.rstrip() == "#define CORERTC_H":
                pass
            elif depth == 0:
                kept.append(re.sub(r"^(#define \w+\s+)\((-\d+)\)", r"\1\2", line))
    return "".join(kept)


def main():
    ffi = FFI()
    ffi.cdef(declarations(sys.argv[1]))
    lib = ffi.dlopen(sys.argv[2])
    assert lib.corertc_abi_version() == lib.CORERTC_ABI_VERSION
    assert lib.CORERTC_E_LIMIT == -6 and lib.CORERTC_KIND_AV == 3

    error = ffi.new("corertc_error *", {"size": ffi.sizeof("corertc_error")})

    def check(status):
        name = ffi.string(lib.corertc_status_name(status)).decode()
        assert status == lib.CORERTC_OK, name + " " + ffi.string(error.message).decode()

    config = lib.corertc_config_new()
    check(lib.corertc_config_set_str(config, lib.CORERTC_OPT_UDP_LISTEN, b"127.0.0.1:0", 11))
    made = ffi.new("corertc_subsystem **")
    check(lib.corertc_subsystem_new(config, made, error))
    lib.corertc_config_free(config)
    subsystem = made[0]

    gone = []

    @ffi.callback("corertc_teardown_fn")
    def ended(_user_data, stream_id, stream_id_len):
        gone.append(ffi.unpack(stream_id, stream_id_len))

    check(lib.corertc_subsystem_set_teardown(subsystem, ended, ffi.NULL, ffi.NULL))

    legs = ffi.new("corertc_leg[]", lib.CORERTC_LEGS_MAX)
    legs[0].size = ffi.sizeof("corertc_leg")
    argv = ffi.new("char[]", lib.CORERTC_ARGV_MAX)
    legs_len, argv_len = ffi.new("size_t *"), ffi.new("size_t *")
    check(lib.corertc_process_start(subsystem, b"cam", 3, ffi.NULL, legs, len(legs), legs_len, argv, len(argv), argv_len, error))
    arguments = ffi.unpack(argv + legs[0].argv_offset, legs[0].argv_len).rstrip(b"\0").split(b"\0")
    assert legs_len[0] == 2 and arguments[0] == b"-map" and arguments[-1].startswith(b"rtp://127.0.0.1:"), arguments

    check(lib.corertc_process_stop(subsystem, b"cam", 3))
    assert gone == [b"cam"], gone
    check(lib.corertc_subsystem_close(subsystem, 5000))
    lib.corertc_subsystem_free(subsystem)
    print("ok")


main()
