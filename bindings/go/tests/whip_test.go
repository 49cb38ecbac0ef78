package tests

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"corertc"

	"github.com/pion/webrtc/v4"
)

// publish sends FFmpeg's VP8 and Opus through Pion to a WHIP endpoint.
func publish(t *testing.T, endpoint, token string) *webrtc.PeerConnection {
	t.Helper()
	pc, err := newPion()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	video, videoPort := track(t, pc, webrtc.MimeTypeVP8)
	audio, audioPort := track(t, pc, webrtc.MimeTypeOpus)
	if _, err := exchange(pc, endpoint, token, nil); err != nil {
		t.Fatal(err)
	}
	rtp := func(port int) string { return fmt.Sprintf("rtp://127.0.0.1:%d?pkt_size=1200", port) }
	run(t, append(append([]string(nil), source...),
		"-map", "0:v:0", "-c:v", "libvpx", "-deadline", "realtime", "-b:v", "200k", "-g", "10", "-f", "rtp", rtp(videoPort),
		"-map", "1:a:0", "-c:a", "libopus", "-ar", "48000", "-ac", "2", "-f", "rtp", rtp(audioPort)))
	go forward(video.socket, video.track)
	go forward(audio.socket, audio.track)
	return pc
}

type outgoing struct {
	socket net.PacketConn
	track  *webrtc.TrackLocalStaticRTP
}

func track(t *testing.T, pc *webrtc.PeerConnection, codec string) (outgoing, int) {
	t.Helper()
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	local, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: codec}, codec[:5], "stream")
	if err != nil {
		t.Fatal(err)
	}
	direction := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}
	if _, err := pc.AddTransceiverFromTrack(local, direction); err != nil {
		t.Fatal(err)
	}
	return outgoing{socket, local}, socket.LocalAddr().(*net.UDPAddr).Port
}

// forward goes on until the socket is closed.
func forward(socket net.PacketConn, track *webrtc.TrackLocalStaticRTP) {
	packet := make([]byte, 1500)
	for {
		n, _, err := socket.ReadFrom(packet)
		if err != nil {
			return
		}
		// What isn't RTP is FFmpeg's RTCP.
		if n < 12 || packet[1] >= 192 && packet[1] <= 223 {
			continue
		}
		if _, err := track.Write(packet[:n]); err != nil {
			return
		}
	}
}

// recorder is a process that records a publisher into a file.
func recorder(id, file string) object {
	return object{
		"id": id, "reconnect": true, "reconnect_delay_ms": 200,
		"webrtc": object{"video_codec": "vp8"},
		"input":  []object{{"id": "whip", "address": "{whip}"}},
		"output": []object{{"id": "file", "address": file, "options": []string{
			"-map", "0:v:0", "-map", "0:a:0", "-c", "copy", "-f", "matroska",
		}}},
	}
}

func TestACoreRecordsAPublisher(t *testing.T) {
	h := startHost(t)
	file := filepath.Join(t.TempDir(), "recorded.mkv")
	h.api(t, "POST", "/process", recorder("studio", file))
	if !corertc.HasFeature("whip") {
		if code, answer := h.ask(t, "PUT", "/api/v3/process/studio/start", nil); code != 400 || !strings.Contains(answer, "whip") {
			t.Error("a build without the feature:", code, answer)
		}
		return
	}
	h.api(t, "PUT", "/process/studio/start", nil)
	var refused errStatus
	pc, err := newPion()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pc.Close() }()
	track(t, pc, webrtc.MimeTypeVP8)
	if _, err := exchange(pc, h.url+"/whip/studio", "wrong", nil); !errors.As(err, &refused) || refused.code != 401 {
		t.Error("without the token:", err)
	}
	publish(t, h.url+"/whip/studio", token)
	eventually(t, "the recording", func() error {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		if info.Size() < 50_000 {
			return fmt.Errorf("%d bytes", info.Size())
		}
		return nil
	})
	began := time.Now()
	h.api(t, "PUT", "/process/studio/stop", nil)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the stop held the lock for %v", took)
	}
	said, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", file).Output()
	if err != nil || string(said) != "vp8\nopus\n" {
		t.Errorf("%q %v", said, err)
	}
}
