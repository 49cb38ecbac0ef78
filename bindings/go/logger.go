package corertc

import (
	"encoding/json"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"
	"time"
)

// Level is how much a line matters.
type Level int32

// The levels, as in the C header.
const (
	LevelError Level = 1
	LevelWarn  Level = 2
	LevelInfo  Level = 3
	LevelDebug Level = 4
	LevelTrace Level = 5
)

// Logger takes the lines of the library. It is called from a goroutine of the package, one line at a time. The library has
// one log per process: of several subsystems with loggers each logger gets every line.
type Logger interface {
	// Log takes a line. The component is "WebRTC"; fields has the part of the library as "module".
	Log(level Level, component, message string, fields map[string]any)
}

const (
	component = "WebRTC"
	// linesMax is how many lines wait for a logger; further ones are lost.
	linesMax = 1024
	// flushPatience is how long the end of a subsystem waits for its logger.
	flushPatience = 200 * time.Millisecond
)

type line struct {
	level   Level
	message string
	fields  map[string]any
}

// logSink hands lines to one subsystem's logger, on a goroutine of its own so that nobody waits for the logger. A nil
// one is silent.
type logSink struct {
	logger Logger
	level  Level
	ended  chan struct{}

	mu     sync.Mutex
	lines  chan line
	closed bool
	lost   uint64
}

// sinks are those of all open subsystems.
var sinks struct {
	// change is held while the library is told; its log callback never takes it.
	change sync.Mutex
	mu     sync.Mutex
	open   []*logSink
}

func attachLog(logger Logger, level Level) *logSink {
	if logger == nil {
		return nil
	}
	sink := &logSink{
		logger: logger, level: level,
		lines: make(chan line, linesMax), ended: make(chan struct{}),
	}
	go sink.deliver()
	sinks.change.Lock()
	defer sinks.change.Unlock()
	sinks.mu.Lock()
	sinks.open = append(sinks.open, sink)
	sinks.mu.Unlock()
	setLog(finestWithout(nil))
	return sink
}

// detach ends the sink, once. What the library has said so far is delivered where the logger is quick enough.
func (s *logSink) detach() {
	if s == nil {
		return
	}
	sinks.change.Lock()
	// The library hands out its queue first, and the sink is still in the list.
	setLog(finestWithout(s))
	sinks.mu.Lock()
	for i, other := range sinks.open {
		if other == s {
			sinks.open = append(sinks.open[:i:i], sinks.open[i+1:]...)
			break
		}
	}
	sinks.mu.Unlock()
	sinks.change.Unlock()

	s.mu.Lock()
	s.closed = true
	close(s.lines)
	s.mu.Unlock()
	select {
	case <-s.ended:
	case <-time.After(flushPatience):
	}
}

// finestWithout is the finest level that anybody but gone wants; 0: nobody wants any.
func finestWithout(gone *logSink) Level {
	sinks.mu.Lock()
	defer sinks.mu.Unlock()
	var finest Level
	for _, sink := range sinks.open {
		if sink != gone && sink.level > finest {
			finest = sink.level
		}
	}
	return finest
}

// deliverLine takes a line of the library, on its log thread.
func deliverLine(level Level, module, message string, fields []byte) {
	sinks.mu.Lock()
	defer sinks.mu.Unlock()
	for i, sink := range sinks.open {
		if level > sink.level || sink.isServedBy(sinks.open[:i], level) {
			continue
		}
		// A map of each logger's own: it may keep it.
		members := make(map[string]any)
		_ = json.Unmarshal(fields, &members)
		members["module"] = module
		sink.put(line{level, message, members})
	}
}

// isServedBy: one of the others has the very same logger and gives it lines of this level.
func (s *logSink) isServedBy(others []*logSink, level Level) bool {
	for _, other := range others {
		if level <= other.level && reflect.ValueOf(s.logger).Comparable() &&
			reflect.ValueOf(other.logger).Comparable() && s.logger == other.logger {
			return true
		}
	}
	return false
}

// put queues a line, or counts it as lost.
func (s *logSink) put(it line) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.lost++
		return
	}
	select {
	case s.lines <- it:
	default:
		s.lost++
	}
}

func (s *logSink) lostCount() uint64 {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

func (s *logSink) deliver() {
	defer close(s.ended)
	for it := range s.lines {
		s.log(it)
	}
}

func (s *logSink) log(it line) {
	defer func() {
		// Where it panics of the report of its panic, that's all that can be done.
		if reason := recover(); reason != nil && it.fields["stack"] == nil {
			s.put(panicLine("the logger", reason))
		}
	}()
	s.logger.Log(it.level, component, it.message, it.fields)
}

// panicLine reports a recovered panic; call it where it was recovered, for the stack.
func panicLine(where string, reason any) line {
	return line{LevelError, fmt.Sprintf("panic in %s: %v", where, reason), map[string]any{
		"module": "binding",
		"stack":  string(debug.Stack()),
	}}
}
