//go:build cgo && linux && !corertc_none

package corertc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestHooksFromManyGoroutines(t *testing.T) {
	s := open(t, local())
	hooks := s.MergedHooks()
	var ended atomic.Int64
	s.SetTeardownHook(func(string) { ended.Add(1) })
	var wait sync.WaitGroup
	for worker := 0; worker < 16; worker++ {
		wait.Add(1)
		go func(worker int) {
			defer wait.Done()
			for round := 0; round < 25; round++ {
				own, shared := fmt.Sprintf("own-%d", worker), fmt.Sprintf("shared-%d", round%3)
				if _, err := hooks.OnStart(own, nil); err != nil {
					t.Error(err)
				}
				if _, err := hooks.OnStart(shared, nil); err != nil {
					t.Error(err)
				}
				ask(s, "GET", "/healthz", "")
				s.Stats()
				hooks.OnStop(shared)
				hooks.OnStop(own)
			}
		}(worker)
	}
	wait.Wait()
	if s.StreamCount() != 0 || ended.Load() < 16*25 {
		t.Error(s.StreamCount(), ended.Load())
	}
}

func TestCloseWhileEverythingRuns(t *testing.T) {
	for round := 0; round < 5; round++ {
		s := open(t, local())
		hooks := s.MergedHooks()
		s.SetTeardownHook(func(id string) { hooks.OnStop("other-" + id) })
		stop := make(chan struct{})
		var wait sync.WaitGroup
		for worker := 0; worker < 8; worker++ {
			wait.Add(1)
			go func(id string) {
				defer wait.Done()
				for {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := hooks.OnStart(id, nil); err != nil && !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					ask(s, "POST", "/whep/"+id, "v=0", "Content-Type", "application/sdp")
					s.SetTeardownHook(func(string) {})
					s.SetAuth(func(AuthRequest) int { return 0 })
					s.Events()
					s.Stats()
					hooks.OnStop(id)
				}
			}(fmt.Sprintf("cam-%d", worker))
		}
		time.Sleep(20 * time.Millisecond)
		within(t, patience, "the end", s.Close)
		close(stop)
		wait.Wait()
	}
	noHandles(t)
}

// rounds is how often a host reloads its configuration in months.
const rounds = 1000

func TestCreatingAndClosingLeavesNothing(t *testing.T) {
	once := func() {
		s, err := New(local(), new(lines))
		if err != nil {
			t.Fatal(err)
		}
		s.SetTeardownHook(func(string) {})
		s.SetAuth(func(AuthRequest) int { return 0 })
		s.Events()
		start(t, s, "cam")
		ask(s, "POST", "/whep/cam", "v=0", "Content-Type", "application/sdp")
		s.Close()
	}
	for i := 0; i < 10; i++ {
		once()
	}
	goroutines, threads, files, memory := runtime.NumGoroutine(), count(t, "task"), count(t, "fd"), resident(t)
	for i := 0; i < rounds; i++ {
		once()
	}
	noHandles(t)
	eventually(t, func() string {
		// The runtime keeps threads for later; what matters is that there is no more of them with every round.
		g, th, f := runtime.NumGoroutine(), count(t, "task"), count(t, "fd")
		if g > goroutines || th > threads+5 || f > files {
			return fmt.Sprintf("goroutines %d → %d, threads %d → %d, files %d → %d", goroutines, g, threads, th, files, f)
		}
		return ""
	})
	if grown := resident(t) - memory; grown > 64<<20 {
		t.Errorf("%d MiB more", grown>>20)
	}
}

// count counts the entries of a directory of /proc/self.
func count(t *testing.T, directory string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("/proc/self", directory))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func resident(t *testing.T) int {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func TestChildrenInheritNoSocket(t *testing.T) {
	s := open(t, local())
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Add(1)
	go func() {
		defer wait.Done()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			id := fmt.Sprint("cam", i%4)
			start(t, s, id)
			other := open(t, local())
			if _, err := other.Listen("127.0.0.1:0"); err != nil {
				t.Error(err)
			}
			other.Close()
			s.Hooks().OnStop(id)
		}
	}()
	for i := 0; i < 50; i++ {
		out, err := exec.Command("ls", "-l", "/proc/self/fd").CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "socket:") {
			t.Fatalf("a child has a socket:\n%s", out)
		}
	}
	close(stop)
	wait.Wait()
}

// The median of a start, with nobody watching; the soak asks the same with a thousand viewers.
func TestAStartTakesNoTime(t *testing.T) {
	s := open(t, local())
	var starts, sockets []time.Duration
	for i := 0; i < 200; i++ {
		began := time.Now()
		start(t, s, "cam")
		starts = append(starts, time.Since(began))
		s.Hooks().OnStop("cam")
		began = time.Now()
		for j := 0; j < 2; j++ {
			socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			_ = socket.Close()
		}
		sockets = append(sockets, time.Since(began))
	}
	if middle := median(starts); middle > 2*time.Millisecond && middle > 4*median(sockets) {
		t.Errorf("a start takes %v, two sockets %v", middle, median(sockets))
	}
	t.Logf("a start takes %v, two sockets %v", median(starts), median(sockets))
}
