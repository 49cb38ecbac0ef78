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

var calls = make(chan struct{}, callsMax)

// ServeHTTP answers WHEP, WHIP, their sessions, and the pages. It takes the stream's id from the escaped path, and replaces
// what middleware has set of the headers it sets. A closed or disabled subsystem answers 404.
func (s *Subsystem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, s.bodyMax+1))
	if err != nil {
		http.Error(w, "the request's body could not be read", http.StatusBadRequest)
		return
	}
	select {
	case calls <- struct{}{}:
		defer func() { <-calls }()
	case <-r.Context().Done():
		// The client has gone.
		return
	}
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
