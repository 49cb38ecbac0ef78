package corertc

import (
	"encoding/json"
	"sync"
)

// EventKind is what happened.
type EventKind uint32

// The kinds of events.
const (
	ViewerJoined    EventKind = 1
	ViewerLeft      EventKind = 2
	PublisherJoined EventKind = 3
	PublisherLeft   EventKind = 4
	// StreamActive is the first packet after a start or a silence.
	StreamActive   EventKind = 5
	StreamInactive EventKind = 6
	KeyframeWanted EventKind = 7
	// Warning has its code in the details: wrong_kind, codec_mismatch, b_frames, …
	Warning EventKind = 8
)

// Event is something that happened to a stream.
type Event struct {
	Kind     EventKind
	StreamID string
	// Detail is a JSON object's members: session, remote_addr and user_agent of a client; when it leaves also reason,
	// bytes and seconds.
	Detail map[string]any
}

// eventsMax is how many events wait for the host; further ones are lost, and counted.
const eventsMax = 1024

// Events gives what happens, in order, from the first call on. The channel is bounded: events that find it full are
// lost and counted in Stats. Close closes it.
func (s *Subsystem) Events() <-chan Event {
	s.take(&s.eventsTaken, core.takeEvents)
	return s.callbacks.events.ch
}

type eventQueue struct {
	mu     sync.Mutex
	ch     chan Event
	closed bool
	lost   uint64
}

func newEventQueue() *eventQueue {
	return &eventQueue{ch: make(chan Event, eventsMax)}
}

func (q *eventQueue) put(kind EventKind, streamID string, detail []byte) {
	event := Event{Kind: kind, StreamID: streamID}
	// What isn't an object has no members.
	_ = json.Unmarshal(detail, &event.Detail)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	select {
	case q.ch <- event:
	default:
		q.lost++
	}
}

func (q *eventQueue) lostCount() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

func (q *eventQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	close(q.ch)
}
