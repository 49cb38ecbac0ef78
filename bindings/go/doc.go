// Package corertc is the WebRTC side of a media host that drives FFmpeg: browsers watch what its processes encode (WHEP)
// and publish what they read (WHIP). It binds the C library libcorertc.
//
// A [Subsystem] gives the host hooks that it calls around each process, and an [net/http.Handler]:
//
//	rtc, err := corertc.New(corertc.DataWebRTC{Enable: true}, logger)
//	hooks := rtc.MergedHooks()
//	legs, err := hooks.OnStart("cam", nil) // append them to the process's outputs, then start FFmpeg
//	hooks.OnStop("cam")                    // after FFmpeg is gone
//	http.Handle("/", rtc)
//	rtc.Close()
//
// # Linking
//
// With cgo on Linux the library is found by pkg-config: the shared one as "corertc", with the build tag corertc_static the
// static one as "corertc-static". Without cgo, on another system, or with the tag corertc_none, the package compiles all
// the same: New gives an inert subsystem, or [ErrUnsupported] where Enable is set.
//
// # Threads
//
// Every method may be called from any goroutine at any time, from callbacks too. Callbacks and the [Logger] run on
// goroutines of the package's own choice, several at once; a panic in one is recovered and logged.
package corertc
