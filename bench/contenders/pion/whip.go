// The way in, as Pion's rtp-forwarder example has it: each track is read, its payload type set, and written to a UDP port;
// a key frame is asked for every three seconds.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/intervalpli"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// What a server with --inputs says on its first line; publishers POST to /whip/PORT.
func inputs(ports string, authority net.Addr) []map[string]any {
	list := []map[string]any{}
	for _, text := range strings.Split(ports, ",") {
		if port, err := strconv.Atoi(text); err == nil {
			list = append(list, map[string]any{"whip": fmt.Sprintf("http://%s/whip/%d", authority, port), "udp": port})
		}
	}
	return list
}

func publish(settings webrtc.SettingEngine) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		port, err := strconv.Atoi(r.PathValue("port"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		offer, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer, err := receive(settings, string(offer), port)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/sdp")
		w.Header().Set("Location", "/session/none")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, answer)
	}
}

func receive(settings webrtc.SettingEngine, offer string, port int) (string, error) {
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		return "", err
	}
	registry := &interceptor.Registry{}
	keyFrames, err := intervalpli.NewReceiverInterceptor()
	if err != nil {
		return "", err
	}
	registry.Add(keyFrames)
	if err = webrtc.RegisterDefaultInterceptors(media, registry); err != nil {
		return "", err
	}
	api := webrtc.NewAPI(
		webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(settings))
	peer, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return "", err
	}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err = peer.AddTransceiverFromKind(kind); err != nil {
			return "", err
		}
	}
	peer.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		to, payloadType := port, uint8(96)
		if track.Kind() == webrtc.RTPCodecTypeAudio {
			to, payloadType = port+2, 111
		}
		if err := write(track, to, payloadType); err != nil && !errors.Is(err, io.EOF) {
			log.Print(err)
		}
	})
	description := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}
	if err = peer.SetRemoteDescription(description); err != nil {
		return "", err
	}
	answer, err := peer.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(peer)
	if err = peer.SetLocalDescription(answer); err != nil {
		return "", err
	}
	<-gathered
	return peer.LocalDescription().SDP, nil
}

func write(track *webrtc.TrackRemote, port int, payloadType uint8) error {
	leg, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return err
	}
	defer leg.Close()
	buffer := make([]byte, 1500)
	packet := &rtp.Packet{}
	for {
		n, _, err := track.Read(buffer)
		if err != nil {
			return err
		}
		if err = packet.Unmarshal(buffer[:n]); err != nil {
			return err
		}
		packet.PayloadType = payloadType
		if n, err = packet.MarshalTo(buffer); err != nil {
			return err
		}
		// Nobody reads there yet: Pion's own example goes on as well.
		if _, err = leg.Write(buffer[:n]); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
	}
}
