//go:build cgo && linux && !corertc_none

package corertc

/*
#include <corertc.h>
*/
import "C"

import "unsafe"

func (lib *library) handle(it *request) (*response, error) {
	method, methodLen := chars(it.method)
	target, targetLen := chars(it.target)
	headers, headersLen := chars(it.headers)
	remoteAddr, remoteAddrLen := chars(it.remoteAddr)
	var body *C.uint8_t
	if len(it.body) > 0 {
		body = (*C.uint8_t)(unsafe.Pointer(&it.body[0]))
	}
	var answer *C.corertc_response
	why := newError()
	err := why.of(C.corertc_http_handle(lib.subsystem, method, methodLen, target, targetLen, headers, headersLen,
		body, C.size_t(len(it.body)), remoteAddr, remoteAddrLen, 0, &answer, &why.c))
	if err != nil {
		return nil, err
	}
	defer C.corertc_response_free(answer)
	return &response{
		status: int(C.corertc_response_status(answer)),
		headers: string(readAll(func(buf *C.char, room C.size_t, length *C.size_t) C.corertc_status {
			return C.corertc_response_headers(answer, buf, room, length)
		})),
		body: readAll(func(buf *C.char, room C.size_t, length *C.size_t) C.corertc_status {
			return C.corertc_response_body(answer, (*C.uint8_t)(unsafe.Pointer(buf)), room, length)
		}),
	}, nil
}
