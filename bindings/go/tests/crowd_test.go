package tests

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"corertc"
)

const thousand = 1000

// CORERTC_CROWD is the crowd program of bench: more viewers than a Go program can hold beside everything else.
func TestHooksAreQuickWithAThousandViewers(t *testing.T) {
	program := os.Getenv("CORERTC_CROWD")
	if program == "" {
		t.Skip("CORERTC_CROWD is not set: scripts/go-tests.sh --long does")
	}
	s, url := open(t, nil, nil)
	var joined, left atomic.Int64
	go func() {
		for event := range s.Events() {
			switch {
			case event.Kind == corertc.ViewerJoined:
				joined.Add(1)
			case event.Kind == corertc.ViewerLeft && event.Detail["reason"] == "stopped":
				left.Add(1)
			}
		}
	}()
	var starts, sockets []time.Duration
	best := time.Hour
	for round := 0; round < 3; round++ {
		ffmpeg := stream(t, s, "cam")
		playSoon(t, url+"/whep/cam", "").sees(t)
		crowd := gather(t, s, program, url)
		for i := 0; i < 500; i++ {
			began := time.Now()
			if _, err := s.Hooks().OnStart("other", nil); err != nil {
				t.Fatal(err)
			}
			starts = append(starts, time.Since(began))
			s.Hooks().OnStop("other")
			sockets = append(sockets, twoSockets(t))
		}
		end(ffmpeg)
		// Viewers are on other machines: what these do with a goodbye must not be counted. Their sockets take it all the same.
		hold(t, crowd)
		empty := stopOf(t, s, "other")
		full := stopOf(t, s, "cam")
		t.Logf("stop without viewers: %v; with %d: %v, and %v of work in it", empty.took, thousand, full.took, full.work)
		best = min(best, full.took-empty.took)
		if there := s.Stats().Counters.Viewers; there != 0 {
			t.Errorf("%d viewers are still there", there)
		}
		eventually(t, "each viewer's end", func() error {
			if joined, left := joined.Load(), left.Load(); left != joined || left < thousand*int64(round+1) {
				return fmt.Errorf("%d joined, %d left", joined, left)
			}
			return nil
		})
		end(crowd)
	}
	t.Logf("start: median %v, p99 %v; two sockets: median %v, p99 %v", quantile(starts, 50), quantile(starts, 99),
		quantile(sockets, 50), quantile(sockets, 99))
	if quantile(starts, 50) > 2*time.Millisecond {
		t.Error("the median of a start")
	}
	if p99 := quantile(starts, 99); p99 > 2*time.Millisecond && p99 > 4*quantile(sockets, 99) {
		t.Error("the slowest starts")
	}
	// The best of three: whoever else wants the cores is no part of the promise.
	if allowed := thousand * 10 * time.Microsecond; best > allowed {
		t.Errorf("the goodbyes took %v and not %v", best, allowed)
	}
}

// gather brings a thousand viewers.
func gather(t *testing.T, s *corertc.Subsystem, program, url string) *exec.Cmd {
	t.Helper()
	crowd := exec.Command(program, url+"/whep/cam", "--viewers", strconv.Itoa(thousand), "--seconds", "600")
	crowd.Stderr = os.Stderr
	if err := crowd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(crowd) })
	eventually(t, "a thousand viewers", func() error {
		if there := s.Stats().Counters.Viewers; there < thousand {
			return fmt.Errorf("%d are there", there)
		}
		connected := 0
		for _, session := range s.Stats().Sessions {
			if session.State == "connected" {
				connected++
			}
		}
		if connected < thousand {
			return fmt.Errorf("%d are connected", connected)
		}
		return nil
	})
	return crowd
}

// stopped is what a stop took, and how much of all threads' work.
type stopped struct{ took, work time.Duration }

func stopOf(t *testing.T, s *corertc.Subsystem, id string) stopped {
	t.Helper()
	if _, err := s.Hooks().OnStart(id, twoInputs); err != nil {
		t.Fatal(err)
	}
	began, worked := time.Now(), cpuTime(t)
	s.Hooks().OnStop(id)
	return stopped{time.Since(began), cpuTime(t) - worked}
}

// hold stops a program, until it ends.
func hold(t *testing.T, program *exec.Cmd) {
	t.Helper()
	if err := program.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stat := fmt.Sprintf("/proc/%d/stat", program.Process.Pid)
	eventually(t, "the program to hold still", func() error {
		text, err := os.ReadFile(stat)
		if err == nil && !strings.Contains(string(text), ") T ") {
			err = errors.New(string(text))
		}
		return err
	})
}

// cpuTime is what this process has worked so far.
func cpuTime(t *testing.T) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// twoSockets is what a start can't do without.
func twoSockets(t *testing.T) time.Duration {
	began := time.Now()
	for i := 0; i < 2; i++ {
		socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = socket.Close()
	}
	return time.Since(began)
}

func quantile(times []time.Duration, percent int) time.Duration {
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	return times[(len(times)-1)*percent/100]
}
