//go:build cgo && linux && !corertc_none && !corertc_static

package corertc

// #cgo pkg-config: corertc
import "C"
