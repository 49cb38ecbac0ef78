//go:build cgo && linux && !corertc_none

package corertc

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"runtime/cgo"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// library is a corertc_subsystem.
type library struct {
	subsystem *C.corertc_subsystem
	callbacks *callbacks
}

func newCore(_ bool, settings []setting, servers []ICEServer, callbacks *callbacks) (core, error) {
	if err := checkABI(); err != nil {
		return nil, err
	}
	config, err := newConfig(settings, servers)
	if err != nil {
		return nil, err
	}
	defer C.corertc_config_free(config)
	lib := &library{callbacks: callbacks}
	why := newError()
	if err := why.of(C.corertc_subsystem_new(config, &lib.subsystem, &why.c)); err != nil {
		return nil, err
	}
	for _, take := range []takeFunc{takeTeardown, takeWHIPTeardown} {
		if err := lib.take(take); err != nil {
			C.corertc_subsystem_free(lib.subsystem)
			return nil, err
		}
	}
	return lib, nil
}

func validate(_ bool, settings []setting, servers []ICEServer) error {
	if err := checkABI(); err != nil {
		return err
	}
	config, err := newConfig(settings, servers)
	if err != nil {
		return err
	}
	defer C.corertc_config_free(config)
	why := newError()
	return why.of(C.corertc_config_validate(config, &why.c))
}

// checkABI: the library that runs is the one of the header.
func checkABI() error {
	if found := uint32(C.corertc_abi_version()); found != C.CORERTC_ABI_VERSION {
		return fail(ErrUnsupported, fmt.Sprintf("corertc: the library has ABI version %d, this program was built for %d (header %.12s)",
			found, C.CORERTC_ABI_VERSION, headerHash))
	}
	return nil
}

// Version is the version of the library that runs.
func Version() string { return C.GoString(C.corertc_version()) }

// HasFeature says whether the library that runs has a feature: "whep", "whip", "h264", …
func HasFeature(name string) bool {
	start, length := chars(name)
	return C.corertc_has_feature(start, length) == 1
}

func setLog(level Level) { C.corertc_go_set_log(C.int32_t(level)) }

func threadID() int { return syscall.Gettid() }

// takeFunc registers Go's side of a callback with the library.
type takeFunc func(*C.corertc_subsystem, C.uintptr_t) C.corertc_status

func takeTeardown(s *C.corertc_subsystem, handle C.uintptr_t) C.corertc_status {
	return C.corertc_go_take_teardown(s, handle)
}

func takeWHIPTeardown(s *C.corertc_subsystem, handle C.uintptr_t) C.corertc_status {
	return C.corertc_go_take_whip_teardown(s, handle)
}

func (lib *library) takeAuth() error {
	return lib.take(func(s *C.corertc_subsystem, handle C.uintptr_t) C.corertc_status {
		return C.corertc_go_take_auth(s, handle)
	})
}

func (lib *library) takeEvents() error {
	return lib.take(func(s *C.corertc_subsystem, handle C.uintptr_t) C.corertc_status {
		return C.corertc_go_take_events(s, handle)
	})
}

func (lib *library) take(take takeFunc) error {
	handle := newHandle(lib.callbacks)
	err := statusError(take(lib.subsystem, C.uintptr_t(handle)), "")
	if err != nil {
		// Refused: it stays ours, and release is not called.
		deleteHandle(cgo.Handle(handle))
	}
	return err
}

func (lib *library) enabled() bool { return C.corertc_subsystem_enabled(lib.subsystem) == 1 }

func (lib *library) streamCount() int { return int(C.corertc_subsystem_stream_count(lib.subsystem)) }

func (lib *library) stop(side side, id string) error {
	start, length := chars(id)
	if side == ingest {
		return statusError(C.corertc_input_stop(lib.subsystem, start, length), id)
	}
	return statusError(C.corertc_process_stop(lib.subsystem, start, length), id)
}

func (lib *library) requestKeyframe(id string) error {
	start, length := chars(id)
	return statusError(C.corertc_input_request_keyframe(lib.subsystem, start, length), id)
}

func (lib *library) inputInterrupt(id string) error {
	start, length := chars(id)
	return statusError(C.corertc_input_interrupt(lib.subsystem, start, length), id)
}

func (lib *library) closeSession(session string) error {
	start, length := chars(session)
	return statusError(C.corertc_session_close(lib.subsystem, start, length), session)
}

func (lib *library) listen(addr string) (int, error) {
	start, length := chars(addr)
	why := newError()
	var port C.uint16_t
	err := why.of(C.corertc_http_listen(lib.subsystem, start, length, &port, &why.c))
	return int(port), err
}

func (lib *library) iceServerURIs() []string {
	lines := string(readAll(func(buf *C.char, room C.size_t, length *C.size_t) C.corertc_status {
		return C.corertc_subsystem_ice_server_uris(lib.subsystem, buf, room, length)
	}))
	if lines == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(lines, "\n"), "\n")
}

func (lib *library) statsJSON() []byte {
	return readAll(func(buf *C.char, room C.size_t, length *C.size_t) C.corertc_status {
		return C.corertc_subsystem_stats_json(lib.subsystem, buf, room, length)
	})
}

func (lib *library) metrics() string {
	return string(readAll(func(buf *C.char, room C.size_t, length *C.size_t) C.corertc_status {
		return C.corertc_subsystem_metrics(lib.subsystem, buf, room, length)
	}))
}

func (lib *library) close(timeout time.Duration) error {
	return statusError(C.corertc_subsystem_close(lib.subsystem, C.uint32_t(timeout.Milliseconds())), "")
}

func (lib *library) free() { C.corertc_subsystem_free(lib.subsystem) }

// readAll asks for a text until the room suffices: it may grow between two calls.
func readAll(read func(buf *C.char, room C.size_t, length *C.size_t) C.corertc_status) []byte {
	buf := make([]byte, 4096)
	for {
		var length C.size_t
		switch read((*C.char)(unsafe.Pointer(&buf[0])), C.size_t(len(buf)), &length) {
		case C.CORERTC_OK:
			return buf[:length]
		case C.CORERTC_E_TOO_SMALL:
			buf = make([]byte, int(length)+int(length)/4+1)
		default:
			return nil
		}
	}
}

// chars lends a text to C for a call.
func chars(text string) (*C.char, C.size_t) {
	if text == "" {
		return nil, 0
	}
	return (*C.char)(unsafe.Pointer(unsafe.StringData(text))), C.size_t(len(text))
}
