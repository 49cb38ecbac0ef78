// Command core is a media core in small: it runs FFmpeg processes, and corertc beside them gives each a WebRTC side.
//
// It does what matters of a real one the way a real one does it: a global lock that is held across hooks, command lines
// that are made once and executed again after a crash, SIGINT and five seconds later SIGKILL, a reload of the
// configuration that ends the WebRTC side and makes another in the same program.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"corertc"
)

func main() {
	var options options
	listen := flag.String("listen", "127.0.0.1:8080", "`address` of the HTTP server")
	flag.StringVar(&options.token, "token", "", "what WHEP and WHIP clients have to bring")
	flag.StringVar(&options.rtc.UDPListen, "udp", "", "`address` of the media socket")
	flag.StringVar(&options.rtc.PublicIP, "public-ip", "", "`address` that clients are told")
	flag.BoolVar(&options.rtc.Enable, "webrtc", true, "whether there is a WebRTC side")
	linger := flag.String("linger", "", "`milliseconds` that viewers stay after a stop, for the next start")
	flag.Parse()
	if *linger != "" {
		options.rtc.Options = map[string]string{"STOP_LINGER_MS": *linger}
	}
	if err := run(*listen, options); err != nil {
		log.Fatal(err)
	}
}

func run(listen string, options options) error {
	core, err := newCore(options)
	if err != nil {
		return err
	}
	defer core.close()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: core.server(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	defer func() { _ = server.Close() }()
	fmt.Printf("ready http://%s/\n", listener.Addr())

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	for {
		select {
		case err := <-failed:
			return err
		case it := <-signals:
			if it != syscall.SIGHUP {
				return nil
			}
			if err := core.reload(); err != nil {
				return err
			}
		}
	}
}

// options are the core's configuration; token is asked by the core itself.
type options struct {
	token string
	rtc   corertc.DataWebRTC
}
