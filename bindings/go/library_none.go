//go:build !cgo || !linux || corertc_none

package corertc

// errNone is what a build without the library says to Enable.
var errNone = fail(ErrUnsupported, "corertc: this program was built without the library (it needs cgo and Linux)")

func newCore(enable bool, _ []setting, _ []ICEServer, _ *callbacks) (core, error) {
	if enable {
		return nil, errNone
	}
	return nothing{}, nil
}

func validate(enable bool, _ []setting, _ []ICEServer) error {
	if enable {
		return errNone
	}
	return nil
}

// Version is empty in a build without the library.
func Version() string { return "" }

// HasFeature is false in a build without the library.
func HasFeature(string) bool { return false }

func setLog(Level) {}

// threadID: without the library there are no callbacks.
func threadID() int { return 0 }
