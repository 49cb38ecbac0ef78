//! The option numbers of the C ABI. Once released a number never changes its meaning; texts start at 1, numbers at 100.

/// Text. The one address announced to clients; an IP, never a name. Default: none.
pub const CORERTC_OPT_PUBLIC_IP: u32 = 1;
/// Text. Comma-separated IPs announced to clients; wins over PUBLIC_IP. Default: none (neither set: the address of
/// every interface, loopback last).
pub const CORERTC_OPT_NAT1TO1_IPS: u32 = 2;
/// Text. Comma-separated `IP:port` of the media sockets, bound by corertc_subsystem_new; port 0 lets the system choose;
/// `[::]` is dual-stack. Default: `0.0.0.0:0`.
pub const CORERTC_OPT_UDP_LISTEN: u32 = 3;
/// Text. In front of every HTTP path, as `/prefix`. Default: none.
pub const CORERTC_OPT_PATH_PREFIX: u32 = 4;
/// Text. Comma-separated origins that browsers may call from, or `*`. Default: `*`.
pub const CORERTC_OPT_CORS_ORIGINS: u32 = 5;
/// Text. Bearer token for playing and publishing. Default: none (open).
pub const CORERTC_OPT_AUTH_TOKEN: u32 = 6;
/// Text. Bearer token for playing; wins over AUTH_TOKEN. Default: none.
pub const CORERTC_OPT_PLAY_TOKEN: u32 = 7;
/// Text. Bearer token for publishing; wins over AUTH_TOKEN. Default: none.
pub const CORERTC_OPT_PUBLISH_TOKEN: u32 = 8;
/// Text. PEM certificate chain of the HTTP listener; together with TLS_KEY_FILE. Default: none (plain HTTP).
pub const CORERTC_OPT_TLS_CERT_FILE: u32 = 9;
/// Text. PEM private key of the HTTP listener; together with TLS_CERT_FILE. Default: none.
pub const CORERTC_OPT_TLS_KEY_FILE: u32 = 10;
/// Text. Shared secret for TURN REST credentials. Default: none.
pub const CORERTC_OPT_TURN_SECRET: u32 = 11;
/// Text. Comma-separated codecs a publisher may use. Default: `all`.
pub const CORERTC_OPT_WHIP_CODECS: u32 = 12;
/// Text. `https://host[:port][/path]` that clients reach this server at: session URLs are given in full, below it.
/// Default: none (the absolute path only).
pub const CORERTC_OPT_PUBLIC_URL: u32 = 13;

/// Number, switch. 0 makes an inert subsystem: starts give no legs, HTTP answers 404. Default: 1.
pub const CORERTC_OPT_ENABLE: u32 = 100;
/// Number. First UDP port of the legs on 127.0.0.1; together with LEG_PORT_MAX. Default: 0 (the system chooses).
pub const CORERTC_OPT_LEG_PORT_MIN: u32 = 101;
/// Number. Last UDP port of the legs on 127.0.0.1; together with LEG_PORT_MIN. Default: 0 (the system chooses).
pub const CORERTC_OPT_LEG_PORT_MAX: u32 = 102;
/// Number. Threads that send media. Default: 0 (one per core).
pub const CORERTC_OPT_WORKERS: u32 = 103;
/// Number. Sessions at most. Default: 0 (no limit).
pub const CORERTC_OPT_MAX_SESSIONS: u32 = 104;
/// Number. Viewers of one stream at most. Default: 0 (no limit).
pub const CORERTC_OPT_MAX_VIEWERS_PER_STREAM: u32 = 105;
/// Number, milliseconds. An HTTP request may take so long. Default: 10000.
pub const CORERTC_OPT_HTTP_TIMEOUT_MS: u32 = 106;
/// Number, bytes. Largest HTTP request body. Default: 131072.
pub const CORERTC_OPT_HTTP_BODY_MAX: u32 = 107;
/// Number, milliseconds. The auth callback may take so long; a later answer counts as 503. Default: 4000.
pub const CORERTC_OPT_AUTH_TIMEOUT_MS: u32 = 108;
/// Number, milliseconds. A session that is not connected after so long ends. Default: 10000.
pub const CORERTC_OPT_SETUP_TIMEOUT_MS: u32 = 109;
/// Number, milliseconds. A connected session whose client is silent for so long ends. Default: 30000.
pub const CORERTC_OPT_IDLE_TIMEOUT_MS: u32 = 110;
/// Number, seconds. Life of TURN REST credentials. Default: 86400.
pub const CORERTC_OPT_TURN_TTL_S: u32 = 111;
/// Number, switch. UDP segmentation offload: 0 off, 1 when it works. Default: 1.
pub const CORERTC_OPT_GSO: u32 = 112;
/// Number, bytes. Largest GOP cache of a stream; 0: off. Default: 16777216.
pub const CORERTC_OPT_GOP_CACHE_BYTES: u32 = 113;
/// Number, milliseconds. Longest GOP cache of a stream; 0: off. Default: 12000.
pub const CORERTC_OPT_GOP_CACHE_MS: u32 = 114;
/// Number, switch. PATCH needs an If-Match with the current entity tag. Default: 0.
pub const CORERTC_OPT_ETAG_STRICT: u32 = 115;
/// Number, switch. Serves the pages `/`, `/play/<id>` and `/publish/<id>`. Default: 1.
pub const CORERTC_OPT_PAGES: u32 = 116;
/// Number, switch. A second publisher takes over the ingest instead of getting 409. Default: 0.
pub const CORERTC_OPT_WHIP_TAKEOVER: u32 = 117;
/// Number, switch. An ingest can be played over WHEP without FFmpeg in between. Default: 0.
pub const CORERTC_OPT_WHIP_DIRECT: u32 = 118;
/// Number, milliseconds. A POST for a stream without packets waits so long; 0: 409 at once. Default: 0.
pub const CORERTC_OPT_WAIT_FOR_STREAM_MS: u32 = 119;
/// Number, milliseconds. After a stop the viewers stay so long, and are taken over by a start of the same id; the legs'
/// sockets close at once, the teardown callback runs when the viewers are told to leave. Default: 0.
pub const CORERTC_OPT_STOP_LINGER_MS: u32 = 120;
/// Number. How FFmpeg reads an ingest: 0 SDP and RTP ports, 1 RTSP over TCP on 127.0.0.1. Default: 1.
pub const CORERTC_OPT_INPUT_TRANSPORT: u32 = 121;
/// Number, switch. The listener speaks plain HTTP on loopback addresses only. Default: 0.
pub const CORERTC_OPT_HTTPS_ONLY: u32 = 122;
/// Number, switch. An Authorization header that is the bare token counts, too. Default: 0.
pub const CORERTC_OPT_RAW_TOKEN: u32 = 123;
/// Number, switch. Pages of public sites may call this server in a private network. Default: 0.
pub const CORERTC_OPT_PRIVATE_NETWORK: u32 = 124;
/// Number. An offered medium the stream lacks is answered: 0 with port 0, 1 inactive, 2 by refusing the offer (422).
/// Default: 1.
pub const CORERTC_OPT_MISSING_MEDIA: u32 = 125;
/// Number. POSTs, PATCHes and DELETEs of one client address in a minute at most; more are 429. Default: 0 (no limit).
pub const CORERTC_OPT_ADDRESS_RATE_MAX: u32 = 126;
/// Number. Sessions at most that no connectivity check came for yet; 0: no limit. Default: 256.
pub const CORERTC_OPT_MAX_HALF_OPEN: u32 = 127;

/// Text. FFmpeg stream specifier of the video. Default: `0:v:0`.
pub const CORERTC_PROCESS_VIDEO_MAP: u32 = 1;
/// Text. FFmpeg stream specifier of the audio. Default: `0:a:0`.
pub const CORERTC_PROCESS_AUDIO_MAP: u32 = 2;
/// Text. What FFmpeg makes of the video: `h264`, `vp8`, `vp9`, `av1`, `h265`, or `copy`. Default: `h264`.
/// FFmpeg sends AV1 from version 8 on; one before that ends with an error, or sends only the audio where ISOLATE is set.
pub const CORERTC_PROCESS_VIDEO_CODEC: u32 = 3;
/// Text. The source's codec, which `copy` passes on: `h264`, `vp8`, `vp9`, `av1`, `h265`. Default: `h264`.
pub const CORERTC_PROCESS_SOURCE_CODEC: u32 = 4;

/// Number, switch. The process has video. Default: 1.
pub const CORERTC_PROCESS_VIDEO: u32 = 100;
/// Number, switch. The process has audio. Default: 1.
pub const CORERTC_PROCESS_AUDIO: u32 = 101;
/// Number, bit/s. Default: 2500000.
pub const CORERTC_PROCESS_VIDEO_BITRATE: u32 = 102;
/// Number, milliseconds. Default: 2000.
pub const CORERTC_PROCESS_KEYFRAME_INTERVAL_MS: u32 = 103;
/// Number, bit/s. Default: 128000.
pub const CORERTC_PROCESS_AUDIO_BITRATE: u32 = 104;
/// Number, bytes. Largest RTP packet FFmpeg writes, header included. Default: 1200.
pub const CORERTC_PROCESS_PKT_SIZE: u32 = 105;
/// Number, switch. One leg of kind AV that survives missing media and failing legs. Default: 0.
pub const CORERTC_PROCESS_ISOLATE: u32 = 106;
/// Number, switch. Both media on one port, told apart by payload type. Default: 0.
pub const CORERTC_PROCESS_SINGLE_PORT: u32 = 107;
