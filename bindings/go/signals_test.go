//go:build cgo && linux && !corertc_none

package corertc

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/pprof"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A client that resets its connection in the middle of the answer: a write to it raises SIGPIPE where it is not blocked.
func TestTheProcessLivesThroughSIGPIPE(t *testing.T) {
	s := open(t, local())
	port, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 50; i++ {
		conn, err := net.Dial("tcp4", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			t.Fatal(err)
		}
		for j := 0; j < 20; j++ {
			// The other side may have had enough.
			_, _ = fmt.Fprintf(conn, "GET /play/cam HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
			t.Error(err)
		}
		_ = conn.Close()
	}
	if w := ask(s, "GET", "/healthz", ""); w.Code != 200 {
		t.Error(w.Code)
	}
}

// The runtime preempts goroutines with SIGURG, takes profiles with SIGPROF; a child's end is SIGCHLD. They hit threads of
// the library, too, and system calls there are interrupted.
func TestTheProcessLivesThroughSIGURGAndSIGPROF(t *testing.T) {
	urgent := make(chan os.Signal, 1)
	signal.Notify(urgent, syscall.SIGURG, syscall.SIGCHLD)
	defer signal.Stop(urgent)
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		t.Fatal(err)
	}
	defer pprof.StopCPUProfile()
	s := open(t, local())
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Add(1)
	go func() {
		defer wait.Done()
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
			}
			for _, it := range []syscall.Signal{syscall.SIGURG, syscall.SIGCHLD} {
				if err := syscall.Kill(os.Getpid(), it); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	for i := 0; i < 200; i++ {
		start(t, s, "cam")
		ask(s, "GET", "/", "")
		s.Hooks().OnStop("cam")
	}
	close(stop)
	wait.Wait()
}
