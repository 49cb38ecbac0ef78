package corertc

import "time"

// core is what stands behind a Subsystem: the C library, or nothing.
type core interface {
	enabled() bool
	start(side side, id string, config *ProcessConfig) ([]ConfigIO, error)
	stop(side side, id string) error
	// takeAuth makes the library ask the callbacks' auth from now on; takeEvents the same for events.
	takeAuth() error
	takeEvents() error
	streamCount() int
	iceServerURIs() []string
	counters() Counters
	statsJSON() []byte
	metrics() string
	listen(addr string) (int, error)
	requestKeyframe(id string) error
	inputInterrupt(id string) error
	closeSession(session string) error
	handle(request *request) (*response, error)
	close(timeout time.Duration) error
	// free is the last call.
	free()
}

// side is what a process has legs for.
type side int

const (
	egress side = iota
	ingest
)

// request is an HTTP request as the library takes it.
type request struct {
	method, target, headers, remoteAddr string
	body                                []byte
}

// response is the library's answer; headers are lines.
type response struct {
	status  int
	headers string
	body    []byte
}

// nothing is the core of a build without the library: disabled, which is all it can be.
type nothing struct{}

func (nothing) enabled() bool                                          { return false }
func (nothing) start(side, string, *ProcessConfig) ([]ConfigIO, error) { return nil, nil }
func (nothing) stop(side, string) error                                { return nil }
func (nothing) takeAuth() error                                        { return nil }
func (nothing) takeEvents() error                                      { return nil }
func (nothing) streamCount() int                                       { return 0 }
func (nothing) iceServerURIs() []string                                { return nil }
func (nothing) counters() Counters                                     { return Counters{} }
func (nothing) statsJSON() []byte                                      { return nil }
func (nothing) metrics() string                                        { return "" }
func (nothing) listen(string) (int, error)                             { return 0, nil }
func (nothing) requestKeyframe(string) error                           { return notFound("input") }
func (nothing) inputInterrupt(string) error                            { return notFound("input") }
func (nothing) closeSession(string) error                              { return notFound("session") }
func (nothing) handle(*request) (*response, error)                     { return &response{status: 404}, nil }
func (nothing) close(time.Duration) error                              { return nil }
func (nothing) free()                                                  {}

func notFound(what string) error { return fail(ErrNotFound, "corertc: no such "+what) }
