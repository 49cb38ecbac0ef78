//go:build cgo && linux && !corertc_none

package corertc

/*
#include <corertc.h>
*/
import "C"

import (
	"runtime/cgo"
	"sync/atomic"
)

// handles counts those that the library holds: each is deleted once, by its release.
var handles atomic.Int64

func newHandle(callbacks *callbacks) cgo.Handle {
	handles.Add(1)
	return cgo.NewHandle(callbacks)
}

func deleteHandle(handle cgo.Handle) {
	handle.Delete()
	handles.Add(-1)
}

func callbacksOf(handle C.uintptr_t) *callbacks {
	return cgo.Handle(handle).Value().(*callbacks)
}

//export corertcGoRelease
func corertcGoRelease(handle C.uintptr_t) {
	deleteHandle(cgo.Handle(handle))
}

//export corertcGoTeardown
func corertcGoTeardown(handle C.uintptr_t, which C.int, id *C.char, idLen C.size_t) {
	callbacksOf(handle).runTeardown(side(which), text(id, idLen))
}

//export corertcGoEvent
func corertcGoEvent(handle C.uintptr_t, event C.uint32_t, id *C.char, idLen C.size_t, detail *C.char, detailLen C.size_t) {
	callbacksOf(handle).events.put(EventKind(event), text(id, idLen), []byte(text(detail, detailLen)))
}

//export corertcGoAuth
func corertcGoAuth(handle C.uintptr_t, request *C.corertc_auth_request) C.int32_t {
	return C.int32_t(callbacksOf(handle).runAuth(AuthRequest{
		Action:     Action(request.action),
		StreamID:   text(request.stream_id, request.stream_id_len),
		Token:      text(request.token, request.token_len),
		Query:      text(request.query, request.query_len),
		RemoteAddr: text(request.remote_addr, request.remote_addr_len),
		UserAgent:  text(request.user_agent, request.user_agent_len),
	}))
}

//export corertcGoLog
func corertcGoLog(level C.int32_t, module *C.char, moduleLen C.size_t, message *C.char, messageLen C.size_t,
	fields *C.char, fieldsLen C.size_t) {
	deliverLine(Level(level), text(module, moduleLen), text(message, messageLen), []byte(text(fields, fieldsLen)))
}

// text copies a text that is borrowed for the callback.
func text(start *C.char, length C.size_t) string {
	if length == 0 {
		return ""
	}
	return C.GoStringN(start, C.int(length))
}
