// A Pion server as its users write one: a PeerConnection per viewer, one TrackLocalStaticRTP that all of them share,
// default codecs and interceptors. It speaks the line protocol of the bench (../../src/servers/mod.rs).
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/pion/webrtc/v4"
)

const payloadType = 96

var (
	host     = flag.String("host", "127.0.0.1", "where to listen for viewers")
	ingest   = flag.String("inputs", "", "take WHIP: first ports to write to, separated by commas")
	track    *webrtc.TrackLocalStaticRTP
	api      *webrtc.API
	sessions sync.Map // id to *webrtc.PeerConnection
)

func main() {
	flag.Parse()
	if err := serve(); err != nil {
		log.Fatal(err)
	}
}

func serve() error {
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetIPFilter(func(ip net.IP) bool { return ip.Equal(net.ParseIP(*host)) })
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	api = webrtc.NewAPI(webrtc.WithSettingEngine(settings))

	var err error
	codec := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264}
	if track, err = webrtc.NewTrackLocalStaticRTP(codec, "video", "bench"); err != nil {
		return err
	}
	leg, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	if err = leg.SetReadBuffer(4 << 20); err != nil {
		return err
	}
	go forward(leg)

	listener, err := net.Listen("tcp4", net.JoinHostPort(*host, "0"))
	if err != nil {
		return err
	}
	http.HandleFunc("POST /whep", join)
	http.HandleFunc("POST /whip/{port}", publish(settings))
	http.HandleFunc("DELETE /session/{id}", leave)
	go func() { log.Fatal(http.Serve(listener, nil)) }()

	out := json.NewEncoder(os.Stdout)
	port := leg.LocalAddr().(*net.UDPAddr).Port
	if err := out.Encode(map[string]any{
		"url":          fmt.Sprintf("http://%s/whep", listener.Addr()),
		"rtp_port":     port,
		"inputs":       inputs(*ingest, listener.Addr()),
		"payload_type": payloadType,
	}); err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if err := out.Encode(figures()); err != nil {
			return err
		}
	}
	return in.Err()
}

func forward(leg *net.UDPConn) {
	buffer := make([]byte, 2048)
	for {
		n, err := leg.Read(buffer)
		if err != nil {
			return
		}
		// Fails for viewers that left; Pion's own examples go on as well.
		if _, err = track.Write(buffer[:n]); err != nil && errors.Is(err, io.ErrClosedPipe) {
			continue
		}
	}
}

func join(w http.ResponseWriter, r *http.Request) {
	offer, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id, answer, err := answer(string(offer))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/sdp")
	w.Header().Set("Location", "/session/"+id)
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer)
}

func answer(offer string) (string, string, error) {
	peer, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return "", "", err
	}
	sender, err := peer.AddTrack(track)
	if err != nil {
		return "", "", err
	}
	go func() { // interceptors see RTCP only if somebody reads it
		buffer := make([]byte, 1500)
		for {
			if _, _, err := sender.Read(buffer); err != nil {
				return
			}
		}
	}()
	if err = peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", "", err
	}
	gathered := webrtc.GatheringCompletePromise(peer)
	answer, err := peer.CreateAnswer(nil)
	if err != nil {
		return "", "", err
	}
	if err = peer.SetLocalDescription(answer); err != nil {
		return "", "", err
	}
	<-gathered
	var random [8]byte
	if _, err = rand.Read(random[:]); err != nil {
		return "", "", err
	}
	id := hex.EncodeToString(random[:])
	sessions.Store(id, peer)
	return id, peer.LocalDescription().SDP, nil
}

func leave(w http.ResponseWriter, r *http.Request) {
	if peer, ok := sessions.LoadAndDelete(r.PathValue("id")); ok {
		_ = peer.(*webrtc.PeerConnection).Close()
	}
	w.WriteHeader(http.StatusOK)
}

func figures() map[string]any {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	micros := func(t syscall.Timeval) int64 { return int64(t.Sec)*1_000_000 + int64(t.Usec) }
	fds, _ := os.ReadDir("/proc/self/fd")
	return map[string]any{"cpu_us": micros(usage.Utime) + micros(usage.Stime), "rss_kib": rss(), "fds": len(fds)}
}

func rss() int {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			kib, _ := strconv.Atoi(fields[1])
			return kib
		}
	}
	return 0
}
