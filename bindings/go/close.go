package corertc

import (
	"errors"
	"time"
)

const (
	// closeStep is the deadline of one attempt to close the library; a late one is tried again.
	closeStep = 5 * time.Second
	// closePatience is how long Close waits in all.
	closePatience = 30 * time.Second
	// callbackPatience is how long Close waits for one and the same run of a host's callback: it may be waiting for Close.
	callbackPatience = 2 * time.Second
)

// Close says goodbye to every client, runs the teardown hooks, closes all sockets and ends the library's threads. It may
// be called from anywhere and more than once. When it returns every port is free for the next New.
//
// It does not wait for a callback that waits for it: called from inside a callback it returns at once, and where one
// callback runs for longer than two seconds it returns then; the rest of the work goes on behind it.
func (s *Subsystem) Close() {
	s.mu.Lock()
	first := !s.closing
	s.closing = true
	s.mu.Unlock()
	if first {
		go s.finish()
	}
	if s.callbacks.runs.here() {
		return
	}
	s.await()
}

func (s *Subsystem) await() {
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	look := time.NewTicker(callbackPatience / 4)
	defer look.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-patience.C:
			return
		case <-look.C:
			if s.callbacks.runs.longest() >= callbackPatience {
				return
			}
		}
	}
}

// finish closes the library, on a goroutine of its own so that teardown hooks never run inside Close's caller.
func (s *Subsystem) finish() {
	err := s.core.close(closeStep)
	for errors.Is(err, ErrTimeout) {
		err = s.core.close(closeStep)
	}
	left := &remains{
		uris:  s.core.iceServerURIs(),
		count: s.core.counters(),
		json:  s.core.statsJSON(),
		text:  s.core.metrics(),
	}
	s.mu.Lock()
	s.remains, s.shut = left, true
	last := s.inside == 0
	s.mu.Unlock()
	s.callbacks.events.close()
	if last {
		s.free()
	}
	s.callbacks.log.detach()
	close(s.done)
}

// free is called once: by whoever sees that the core is shut and nobody is inside.
func (s *Subsystem) free() {
	s.core.free()
}
