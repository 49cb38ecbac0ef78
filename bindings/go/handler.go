package corertc

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// callsMax is how many HTTP calls of all subsystems stand in the library at once. Each holds an operating system's thread
// that the runtime keeps for good; the rest wait as goroutines.
const callsMax = 32

// askedMax is how many of them may be POSTs that SetAuth's function is asked about: each has a second thread then.
const askedMax = 18

var (
	calls = make(chan struct{}, callsMax)
	asked = make(chan struct{}, askedMax)
)

// ServeHTTP answers WHEP, WHIP, their sessions, and the pages. It takes the stream's id from the escaped path, and replaces
// what middleware has set of the headers it sets. A closed or disabled subsystem answers 404.
func (s *Subsystem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := s.body(r)
	if err != nil {
		http.Error(w, "the request's body could not be read", http.StatusBadRequest)
		return
	}
	leaveQueue, inTime := s.queue(r)
	if !inTime {
		// The client has gone.
		return
	}
	defer leaveQueue()
	core, leave := s.enter()
	defer leave()
	answer, err := core.handle(&request{
		method:     r.Method,
		target:     target(r),
		headers:    headerLines(r),
		remoteAddr: r.RemoteAddr,
		body:       body,
	})
	if err != nil {
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	answer.write(w)
}

// body is at most a byte more than the library takes. A request that no server made may have none.
func (s *Subsystem) body(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	return io.ReadAll(io.LimitReader(r.Body, s.bodyMax+1))
}

// queue waits for the request's turn to stand in the library; false where its client left before.
func (s *Subsystem) queue(r *http.Request) (leave func(), inTime bool) {
	places := []chan struct{}{calls}
	if r.Method == http.MethodPost && s.callbacks.auth.Load() != nil {
		places = []chan struct{}{asked, calls}
	}
	var taken []chan struct{}
	leave = func() {
		for _, place := range taken {
			<-place
		}
	}
	for _, place := range places {
		select {
		case place <- struct{}{}:
			taken = append(taken, place)
		case <-r.Context().Done():
			leave()
			return nil, false
		}
	}
	return leave, true
}

func target(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return r.URL.EscapedPath()
	}
	return r.URL.EscapedPath() + "?" + r.URL.RawQuery
}

// headerLines leaves out what would not be one line. Host stands in a field of its own.
func headerLines(r *http.Request) string {
	var lines strings.Builder
	put := func(name, value string) {
		if strings.ContainsAny(name, "\r\n:") || strings.ContainsAny(value, "\r\n") {
			return
		}
		if !utf8.ValidString(value) {
			value = strings.ToValidUTF8(value, "\uFFFD")
		}
		lines.WriteString(name + ": " + value + "\r\n")
	}
	if r.Host != "" {
		put("Host", r.Host)
	}
	for name, values := range r.Header {
		for _, value := range values {
			put(name, value)
		}
	}
	return lines.String()
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, ErrTimeout):
		return http.StatusGatewayTimeout
	case errors.Is(err, ErrState), errors.Is(err, ErrClosed):
		return http.StatusNotFound
	default:
		return http.StatusInternalServerError
	}
}

func (r *response) write(w http.ResponseWriter) {
	seen := make(map[string]bool)
	for _, line := range strings.Split(r.headers, "\r\n") {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			continue
		}
		name = http.CanonicalHeaderKey(name)
		if seen[name] {
			w.Header().Add(name, value)
			continue
		}
		seen[name] = true
		w.Header().Set(name, value)
	}
	w.WriteHeader(r.status)
	// Where the client has gone there is nobody to tell.
	_, _ = w.Write(r.body)
}
