package corertc

import (
	"sync"
	"sync/atomic"
	"time"
)

// Action is what a client wants.
type Action uint32

// The actions an AuthRequest may name.
const (
	ActionPlay    Action = 1
	ActionPublish Action = 2
)

// AuthRequest is who asks for what.
type AuthRequest struct {
	Action   Action
	StreamID string
	// Token is the bearer token or ?token=, empty where there is none.
	Token string
	// Query is the raw query.
	Query      string
	RemoteAddr string
	UserAgent  string
}

// refusal is the status of a request whose auth callback panicked.
const refusal = 500

// callbacks are what the library calls. It knows nothing of the Subsystem, which is collected where the library's
// registrations still hold it.
type callbacks struct {
	log      *logSink
	events   *eventQueue
	runs     runs
	teardown [2]atomic.Pointer[func(streamID string)] // by side
	auth     atomic.Pointer[func(AuthRequest) int]
}

func newCallbacks(logger Logger, level Level) *callbacks {
	return &callbacks{log: attachLog(logger, level), events: newEventQueue()}
}

// SetTeardownHook sets what is called when an egress stream ends, within OnStop and Close: its viewers were told to leave,
// its sockets are still open. It replaces the hook before, nil detaches; neither waits for a hook that runs.
func (s *Subsystem) SetTeardownHook(fn func(streamID string)) {
	s.callbacks.setTeardown(egress, fn)
}

// SetWHIPTeardownHook is the same for the end of an ingest, within OnInputStop and Close.
func (s *Subsystem) SetWHIPTeardownHook(fn func(streamID string)) {
	s.callbacks.setTeardown(ingest, fn)
}

func (c *callbacks) setTeardown(side side, fn func(string)) {
	if fn == nil {
		c.teardown[side].Store(nil)
		return
	}
	c.teardown[side].Store(&fn)
}

// SetAuth sets what is asked on every POST besides the tokens, several at once: 0 or 200 lets in, anything else is the
// HTTP status of the refusal. It replaces the function before, nil detaches.
func (s *Subsystem) SetAuth(fn func(AuthRequest) int) {
	if fn == nil {
		s.callbacks.auth.Store(nil)
		return
	}
	s.callbacks.auth.Store(&fn)
	s.take(&s.authTaken, core.takeAuth)
}

// take makes the library call a kind of callback, once.
func (s *Subsystem) take(taken *bool, take func(core) error) {
	s.taking.Lock()
	defer s.taking.Unlock()
	if *taken {
		return
	}
	if err := s.call(take); err != nil {
		return
	}
	*taken = true
}

func (c *callbacks) runTeardown(side side, streamID string) {
	if fn := c.teardown[side].Load(); fn != nil {
		c.run("the teardown hook", func() { (*fn)(streamID) })
	}
}

func (c *callbacks) runAuth(request AuthRequest) int {
	fn := c.auth.Load()
	if fn == nil {
		return 0
	}
	status := refusal
	c.run("the auth callback", func() { status = (*fn)(request) })
	return status
}

// run runs a callback of the host; a panic ends here.
func (c *callbacks) run(name string, fn func()) {
	leave := c.runs.enter()
	defer leave()
	defer func() {
		if reason := recover(); reason != nil {
			c.log.put(panicLine(name, reason))
		}
	}()
	fn()
}

// runs are the host's callbacks that run now, by thread: while it is inside one a goroutine stays on its thread.
type runs struct {
	mu    sync.Mutex
	since map[int][]time.Time
}

func (r *runs) enter() (leave func()) {
	thread := threadID()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since == nil {
		r.since = make(map[int][]time.Time)
	}
	r.since[thread] = append(r.since[thread], time.Now())
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		outer := r.since[thread]
		if outer = outer[:len(outer)-1]; len(outer) > 0 {
			r.since[thread] = outer
			return
		}
		delete(r.since, thread)
	}
}

// here: the caller is inside a callback.
func (r *runs) here() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.since[threadID()]) > 0
}

// longest is how long the oldest of them has been running.
func (r *runs) longest() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	var longest time.Duration
	for _, runs := range r.since {
		if age := time.Since(runs[0]); age > longest {
			longest = age
		}
	}
	return longest
}
