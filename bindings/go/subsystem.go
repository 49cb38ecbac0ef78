package corertc

import (
	"strconv"
	"sync"
	"time"
)

// Subsystem is one WebRTC side. Several in one process live side by side.
type Subsystem struct {
	callbacks *callbacks
	enabled   bool
	bodyMax   int64

	// authTaken: the library asks callbacks.auth already; the same for events.
	taking                 sync.Mutex
	authTaken, eventsTaken bool

	mu sync.Mutex
	// core is the library until it is freed, then what remains of it.
	core core
	// inside counts the calls that stand in core.
	inside  int
	closing bool
	// shut: core is closed, nobody enters it any more, and the last one who leaves frees it.
	shut bool
	// remains answers once shut.
	remains core
	// done is closed when everything is closed.
	done chan struct{}
}

// New makes a subsystem: it validates the whole configuration, binds the sockets and starts the library's threads. A nil
// logger is silent.
func New(cfg DataWebRTC, logger Logger) (*Subsystem, error) {
	settings, err := cfg.settings()
	if err != nil {
		return nil, err
	}
	level, err := cfg.level()
	if err != nil {
		return nil, err
	}
	callbacks := newCallbacks(logger, level)
	core, err := newCore(cfg.Enable, settings, cfg.ICEServers, callbacks)
	if err != nil {
		callbacks.log.detach()
		return nil, err
	}
	return &Subsystem{
		callbacks: callbacks,
		enabled:   core.enabled(),
		bodyMax:   bodyMax(settings),
		core:      core,
		done:      make(chan struct{}),
	}, nil
}

// Validate says what New would say of the values, without side effects.
func Validate(cfg DataWebRTC) error {
	settings, err := cfg.settings()
	if err != nil {
		return err
	}
	if _, err = cfg.level(); err != nil {
		return err
	}
	return validate(cfg.Enable, settings, cfg.ICEServers)
}

// Enabled is the configuration's Enable.
func (s *Subsystem) Enabled() bool { return s.enabled }

// StreamCount is the number of processes with egress legs.
func (s *Subsystem) StreamCount() int {
	core, leave := s.enter()
	defer leave()
	return core.streamCount()
}

// ICEServerURIs are the URIs of the configured ICE servers.
func (s *Subsystem) ICEServerURIs() []string {
	core, leave := s.enter()
	defer leave()
	return core.iceServerURIs()
}

// Listen starts the library's own listener on an IP:port; port 0 lets the system choose.
func (s *Subsystem) Listen(addr string) (port int, err error) {
	err = s.call(func(core core) (err error) {
		port, err = core.listen(addr)
		return err
	})
	return port, err
}

// RequestKeyframe asks the publisher of an input for a key frame.
func (s *Subsystem) RequestKeyframe(id string) error {
	return s.call(func(core core) error { return core.requestKeyframe(id) })
}

// InputInterrupt ends FFmpeg's current reading of an input; the input, its ports and its publisher stay.
func (s *Subsystem) InputInterrupt(id string) error {
	return s.call(func(core core) error { return core.inputInterrupt(id) })
}

// CloseSession ends a session by its public id, as events and Stats tell it.
func (s *Subsystem) CloseSession(session string) error {
	return s.call(func(core core) error { return core.closeSession(session) })
}

// enter gives the core to call, and what to do after the call: nothing is freed before.
func (s *Subsystem) enter() (core, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return s.remains, func() {}
	}
	s.inside++
	return s.core, s.leave
}

func (s *Subsystem) leave() {
	s.mu.Lock()
	s.inside--
	last := s.shut && s.inside == 0
	s.mu.Unlock()
	if last {
		// Not on this goroutine: it may be inside a callback, which freeing waits for.
		go s.free()
	}
}

// call runs fn on the core; a closing one says ErrClosed.
func (s *Subsystem) call(fn func(core) error) error {
	core, leave := s.enter()
	defer leave()
	err := fn(core)
	if err != nil && s.isClosing() {
		return whenClosed(err)
	}
	return err
}

func (s *Subsystem) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// bodyMax is the HTTP_BODY_MAX of the settings: no more than that and a byte is read of a request.
func bodyMax(settings []setting) int64 {
	const byDefault, most = 131072, 1 << 30
	for _, it := range settings {
		if it.name == "HTTP_BODY_MAX" {
			if it.uint > most {
				return most
			}
			limit, _ := strconv.ParseInt(it.text, 10, 64)
			return limit
		}
	}
	return byDefault
}

// remains is what a closed subsystem answers.
type remains struct {
	nothing
	uris  []string
	count Counters
	json  []byte
	text  string
}

func (*remains) start(side, string, *ProcessConfig) ([]ConfigIO, error) { return nil, errClosed }
func (*remains) stop(side, string) error                                { return errClosed }
func (*remains) takeAuth() error                                        { return errClosed }
func (*remains) takeEvents() error                                      { return errClosed }
func (r *remains) iceServerURIs() []string                              { return r.uris }
func (r *remains) counters() Counters                                   { return r.count }
func (r *remains) statsJSON() []byte                                    { return r.json }
func (r *remains) metrics() string                                      { return r.text }
func (*remains) listen(string) (int, error)                             { return 0, errClosed }
func (*remains) requestKeyframe(string) error                           { return errClosed }
func (*remains) inputInterrupt(string) error                            { return errClosed }
func (*remains) closeSession(string) error                              { return errClosed }
func (*remains) close(time.Duration) error                              { return nil }
