package tests

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const thousand = 1000

// CORERTC_CROWD is the crowd program of bench: more viewers than a Go program can hold beside everything else.
func TestHooksAreQuickWithAThousandViewers(t *testing.T) {
	program := os.Getenv("CORERTC_CROWD")
	if program == "" {
		t.Skip("CORERTC_CROWD is not set: scripts/go-tests.sh --long does")
	}
	s, url := open(t, nil, nil)
	ffmpeg := stream(t, s, "cam")
	playSoon(t, url+"/whep/cam", "").sees(t)
	crowd := exec.Command(program, url+"/whep/cam", "--viewers", strconv.Itoa(thousand), "--seconds", "600")
	crowd.Stderr = os.Stderr
	if err := crowd.Start(); err != nil {
		t.Fatal(err)
	}
	defer end(crowd)
	eventually(t, "a thousand viewers", func() error {
		if there := s.Stats().Counters.Viewers; there < thousand {
			return fmt.Errorf("%d are there", there)
		}
		return nil
	})

	var starts, sockets []time.Duration
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
	began, worked := time.Now(), cpuTime(t)
	s.Hooks().OnStop("cam")
	stop := cpuTime(t) - worked
	t.Logf("start: median %v, p99 %v; two sockets: median %v, p99 %v; stop of %d viewers: %v, and %v of work",
		quantile(starts, 50), quantile(starts, 99), quantile(sockets, 50), quantile(sockets, 99), thousand,
		time.Since(began), stop)
	if quantile(starts, 50) > 2*time.Millisecond {
		t.Error("the median of a start")
	}
	if p99 := quantile(starts, 99); p99 > 2*time.Millisecond && p99 > 4*quantile(sockets, 99) {
		t.Error("the slowest starts")
	}
	// Work and not time: the crowd wants the same two cores, and the kernel's deliveries to it are counted here. The aim is
	// 10 µs a viewer; this is where something is wrong.
	if allowed := thousand * 50 * time.Microsecond; stop > allowed {
		t.Errorf("the stop took more than %v", allowed)
	}
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
