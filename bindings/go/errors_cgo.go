//go:build cgo && linux && !corertc_none

package corertc

/*
#include <corertc.h>
*/
import "C"

import "fmt"

var kinds = map[C.corertc_status]error{
	C.CORERTC_E_INVALID:     ErrInvalid,
	C.CORERTC_E_TOO_SMALL:   ErrInvalid,
	C.CORERTC_E_NOT_FOUND:   ErrNotFound,
	C.CORERTC_E_STATE:       ErrState,
	C.CORERTC_E_TIMEOUT:     ErrTimeout,
	C.CORERTC_E_LIMIT:       ErrLimit,
	C.CORERTC_E_IO:          ErrIO,
	C.CORERTC_E_UNSUPPORTED: ErrUnsupported,
	C.CORERTC_E_PANIC:       ErrPanic,
}

// callError is a corertc_error, with room for the library's message.
type callError struct{ c C.corertc_error }

func newError() *callError {
	return &callError{c: C.corertc_error{size: C.sizeof_corertc_error}}
}

func (e *callError) of(status C.corertc_status) error {
	if status == C.CORERTC_OK {
		return nil
	}
	message := C.GoString(&e.c.message[0])
	if message == "" {
		return statusError(status, "")
	}
	return fail(kindOf(status), message)
}

// statusError is for calls without a message: the status's name, and what it is about.
func statusError(status C.corertc_status, about string) error {
	if status == C.CORERTC_OK {
		return nil
	}
	message := C.GoString(C.corertc_status_name(status))
	if about != "" {
		message = fmt.Sprintf("%s: %q", message, about)
	}
	return fail(kindOf(status), message)
}

func kindOf(status C.corertc_status) error {
	if kind, known := kinds[status]; known {
		return kind
	}
	return ErrPanic
}
