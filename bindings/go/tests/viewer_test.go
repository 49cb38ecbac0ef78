package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

// patience is what a slow machine may take for what a fast one does at once.
const patience = 60 * time.Second

// viewer is a Pion player that counts.
type viewer struct {
	pc           *webrtc.PeerConnection
	session      string
	video, audio atomic.Int64
	// state is a webrtc.PeerConnectionState.
	state atomic.Int64
}

// errStatus is an answer other than 201.
type errStatus struct {
	code int
	body string
}

func (e errStatus) Error() string { return fmt.Sprint(e.code, " ", e.body) }

// newPion makes a connection on this machine only.
func newPion() (*webrtc.PeerConnection, error) {
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	media := new(webrtc.MediaEngine)
	if err := media.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	return webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(media)).
		NewPeerConnection(webrtc.Configuration{})
}

// play POSTs an offer, changed where change is given, and begins to watch.
func play(endpoint, token string, change func(string) string) (*viewer, error) {
	pc, err := newPion()
	if err != nil {
		return nil, err
	}
	v := &viewer{pc: pc}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		direction := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
		if _, err := pc.AddTransceiverFromKind(kind, direction); err != nil {
			return nil, err
		}
	}
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) { v.state.Store(int64(state)) })
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		count := &v.video
		if track.Kind() == webrtc.RTPCodecTypeAudio {
			count = &v.audio
		}
		for {
			if _, _, err := track.ReadRTP(); err != nil {
				return
			}
			count.Add(1)
		}
	})
	if v.session, err = exchange(pc, endpoint, token, change); err != nil {
		return nil, errors.Join(err, pc.Close())
	}
	return v, nil
}

// exchange POSTs the offer and takes the answer; it gives the session's URL.
func exchange(pc *webrtc.PeerConnection, endpoint, token string, change func(string) string) (string, error) {
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return "", err
	}
	<-gathered
	sdp := pc.LocalDescription().SDP
	if change != nil {
		sdp = change(sdp)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(sdp))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/sdp")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusCreated {
		return "", errStatus{response.StatusCode, string(body)}
	}
	location, err := response.Request.URL.Parse(response.Header.Get("Location"))
	if err != nil {
		return "", err
	}
	answer := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(body)}
	return location.String(), pc.SetRemoteDescription(answer)
}

// playSoon plays once the stream has packets.
func playSoon(t testing.TB, endpoint, token string) *viewer {
	t.Helper()
	var v *viewer
	eventually(t, "a viewer of "+endpoint, func() (err error) {
		v, err = play(endpoint, token, nil)
		return err
	})
	t.Cleanup(func() { _ = v.pc.Close() })
	return v
}

// sees waits for both media to go on.
func (v *viewer) sees(t testing.TB) {
	t.Helper()
	seesAll(t, []*viewer{v})
}

// seesAll waits for both media to go on, at every viewer.
func seesAll(t testing.TB, crowd []*viewer) {
	t.Helper()
	type counts struct{ video, audio int64 }
	before := make([]counts, len(crowd))
	for i, v := range crowd {
		before[i] = counts{v.video.Load(), v.audio.Load()}
	}
	eventually(t, "video and audio", func() error {
		for i, v := range crowd {
			now := counts{v.video.Load(), v.audio.Load()}
			if now.video < before[i].video+5 || now.audio < before[i].audio+5 {
				return fmt.Errorf("viewer %d: %+v → %+v, %v", i, before[i], now, webrtc.PeerConnectionState(v.state.Load()))
			}
		}
		return nil
	})
}

// isTold waits for the goodbye.
func (v *viewer) isTold(t testing.TB) {
	t.Helper()
	eventually(t, "the goodbye", func() error {
		state := webrtc.PeerConnectionState(v.state.Load())
		if state == webrtc.PeerConnectionStateConnected {
			return fmt.Errorf("it is %v", state)
		}
		return nil
	})
}

// eventually asks until there is no error, and fails with the last one.
func eventually(t testing.TB, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s; at last: %v", patience, what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func escaped(id string) string { return url.PathEscape(id) }
