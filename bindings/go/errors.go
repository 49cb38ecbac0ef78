package corertc

import "errors"

// What errors of this package match with errors.Is. Their text is the library's.
var (
	ErrInvalid     = errors.New("corertc: invalid")
	ErrNotFound    = errors.New("corertc: not found")
	ErrClosed      = errors.New("corertc: closed")
	ErrTimeout     = errors.New("corertc: timeout")
	ErrLimit       = errors.New("corertc: limit reached")
	ErrIO          = errors.New("corertc: input or output failed")
	ErrUnsupported = errors.New("corertc: unsupported")
	// ErrState is a call at the wrong moment: a second Listen, a start of an id from inside its own teardown hook.
	// Of a closed subsystem it is ErrClosed.
	ErrState = errors.New("corertc: not now")
	// ErrPanic is a bug of the library, caught at its boundary.
	ErrPanic = errors.New("corertc: internal error")
)

// failure is the library's message and the kind it matches.
type failure struct {
	kind    error
	message string
}

func (f *failure) Error() string { return f.message }

func (f *failure) Unwrap() error { return f.kind }

func fail(kind error, message string) error {
	return &failure{kind: kind, message: message}
}

// errClosed is what a closed subsystem answers.
var errClosed = fail(ErrClosed, "corertc: the subsystem is closed")

// whenClosed makes the error of a subsystem that is closing an ErrClosed: whatever else was wrong, that comes first.
func whenClosed(err error) error {
	switch {
	case errors.Is(err, ErrState):
		return fail(ErrClosed, err.Error())
	case errors.Is(err, ErrPanic):
		return err
	default:
		return errClosed
	}
}
