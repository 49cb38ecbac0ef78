/* embedded_http.c - a host with an HTTP server of its own: it answers what is its own and hands the rest to corertc.
 *
 *     embedded_http [PORT]      plays FFmpeg's test picture at http://127.0.0.1:PORT/media/play/cam
 *
 * The library never listens here: each request goes through corertc_http_handle, pages included, below PATH_PREFIX.
 * One thread per connection, one request per connection: as little HTTP as browsers and players need. */
#define _GNU_SOURCE
#include <corertc.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PREFIX      "/media"
#define STREAM      "cam"
#define HEAD_MAX    (32 * 1024)
#define BODY_MAX    (256 * 1024)
#define CLIENTS_MAX 64
#define CLIENT_S    10

static corertc_subsystem *subsystem;
static atomic_int         clients;

/* --- one request ---------------------------------------------------------------------------------------------------- */

/* A request as it came in: the head ends with its empty line, the body stands behind it. Parts point into `bytes`. */
typedef struct request {
  char       *bytes;
  size_t      length, head_length, body_length;
  const char *method, *target, *headers;
  size_t      method_length, target_length, headers_length;
} request;

static int write_all(int client, const void *bytes, size_t length) {
  const char *at = bytes;
  while (length > 0) {
    ssize_t written = send(client, at, length, MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return 0;
    }
    at += written;
    length -= (size_t)written;
  }
  return 1;
}

static void answer_plainly(int client, const char *status, const char *text) {
  char line[512];
  int  length = snprintf(line, sizeof line,
                         "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status,
                         strlen(text), text);
  if (length > 0 && (size_t)length < sizeof line) {
    write_all(client, line, (size_t)length);
  }
}

/* More bytes of the request, up to `most` in all; 0 where none came in time. */
static int read_more(int client, request *request, size_t most) {
  if (request->length >= most) {
    return 0;
  }
  ssize_t got = recv(client, request->bytes + request->length, most - request->length, 0);
  if (got <= 0) {
    return 0;
  }
  request->length += (size_t)got;
  return 1;
}

/* The value of a header, or NULL; *length is its length. Names are compared without case. */
static const char *header(const request *request, const char *name, size_t *length) {
  const char *line = request->headers;
  const char *end = line + request->headers_length;
  size_t      name_length = strlen(name);
  while (line < end) {
    const char *next = memmem(line, (size_t)(end - line), "\r\n", 2);
    if (next == NULL) {
      return NULL;
    }
    if ((size_t)(next - line) > name_length && line[name_length] == ':' && strncasecmp(line, name, name_length) == 0) {
      const char *value = line + name_length + 1;
      while (value < next && (*value == ' ' || *value == '\t')) {
        value++;
      }
      *length = (size_t)(next - value);
      return value;
    }
    line = next + 2;
  }
  return NULL;
}

/* Splits `METHOD target HTTP/1.x` and finds the headers; 0 where the head is none. */
static int split_head(request *request) {
  const char *head = request->bytes;
  const char *line_end = memmem(head, request->head_length, "\r\n", 2);
  const char *blank = memchr(head, ' ', (size_t)(line_end - head));
  if (blank == NULL || blank == head) {
    return 0;
  }
  const char *target = blank + 1;
  const char *target_end = memchr(target, ' ', (size_t)(line_end - target));
  if (target_end == NULL || *target != '/' || strncmp(target_end + 1, "HTTP/1.", 7) != 0) {
    return 0;
  }
  request->method = head;
  request->method_length = (size_t)(blank - head);
  request->target = target;
  request->target_length = (size_t)(target_end - target);
  request->headers = line_end + 2;
  /* Without the empty line at the end. */
  request->headers_length = request->head_length - 2 - (size_t)(request->headers - head);
  return 1;
}

/* How long the body is; -1 where it can't be told. */
static long body_length(const request *request) {
  size_t length = 0;
  if (header(request, "Transfer-Encoding", &length) != NULL) {
    return -1;
  }
  const char *value = header(request, "Content-Length", &length);
  if (value == NULL) {
    return 0;
  }
  long number = 0;
  for (size_t i = 0; i < length; i++) {
    if (value[i] < '0' || value[i] > '9' || number > BODY_MAX) {
      return value[i] < '0' || value[i] > '9' ? -1 : BODY_MAX + 1L;
    }
    number = number * 10 + (value[i] - '0');
  }
  return length > 0 ? number : -1;
}

/* Reads a whole request; where that fails it is answered, and 0. */
static int read_request(int client, request *request) {
  const char *end;
  do {
    if (!read_more(client, request, HEAD_MAX)) {
      if (request->length >= HEAD_MAX) {
        answer_plainly(client, "431 Request Header Fields Too Large", "the head is too long\n");
      }
      return 0;
    }
    end = memmem(request->bytes, request->length, "\r\n\r\n", 4);
  } while (end == NULL);
  request->head_length = (size_t)(end - request->bytes) + 4;
  if (!split_head(request)) {
    answer_plainly(client, "400 Bad Request", "not an HTTP/1.1 request\n");
    return 0;
  }
  long body = body_length(request);
  if (body < 0) {
    answer_plainly(client, "411 Length Required", "a Content-Length is needed\n");
    return 0;
  }
  if (body > BODY_MAX) {
    answer_plainly(client, "413 Content Too Large", "the body is too long\n");
    return 0;
  }
  request->body_length = (size_t)body;
  while (request->length < request->head_length + request->body_length) {
    if (!read_more(client, request, request->head_length + request->body_length)) {
      return 0;
    }
  }
  return 1;
}

/* --- handing it to corertc ------------------------------------------------------------------------------------------ */

/* The response goes out as it is; the lines of the connection are ours. */
static void send_response(int client, const request *request, const corertc_response *response) {
  size_t headers_length = 0, body_length = 0;
  corertc_response_headers(response, NULL, 0, &headers_length);
  corertc_response_body(response, NULL, 0, &body_length);
  char *headers = malloc(headers_length + 1);
  char *body = malloc(body_length + 1);
  char  line[128];
  if (headers != NULL && body != NULL &&
      corertc_response_headers(response, headers, headers_length + 1, &headers_length) == CORERTC_OK &&
      corertc_response_body(response, (uint8_t *)body, body_length + 1, &body_length) == CORERTC_OK) {
    unsigned status = corertc_response_status(response);
    int      head = request->method_length == 4 && strncmp(request->method, "HEAD", 4) == 0;
    /* HEAD answers say the length of their GET themselves, and 204 has none. */
    int    has_length = strcasestr(headers, "content-length:") != NULL || status == 204 || head;
    size_t length = (size_t)snprintf(line, sizeof line, "HTTP/1.1 %u -\r\nConnection: close\r\n", status);
    int    sent = write_all(client, line, length) && write_all(client, headers, headers_length);
    if (sent && !has_length) {
      length = (size_t)snprintf(line, sizeof line, "Content-Length: %zu\r\n", body_length);
      sent = write_all(client, line, length);
    }
    if (sent && write_all(client, "\r\n", 2)) {
      write_all(client, body, body_length);
    }
  }
  free(headers);
  free(body);
}

static void hand_over(int client, const request *request, const char *remote) {
  corertc_error     error = {.size = sizeof error};
  corertc_response *response = NULL;
  corertc_status    status = corertc_http_handle(
      subsystem, request->method, request->method_length, request->target, request->target_length, request->headers,
      request->headers_length, (const uint8_t *)request->bytes + request->head_length, request->body_length, remote,
      strlen(remote), 0, &response, &error);
  if (status == CORERTC_OK) {
    send_response(client, request, response);
    corertc_response_free(response);
  } else if (status == CORERTC_E_TIMEOUT) {
    answer_plainly(client, "503 Service Unavailable", "no answer in time\n");
  } else {
    /* What no HTTP request can hold: the message names it. */
    answer_plainly(client, "400 Bad Request", error.message);
  }
}

static int is_below_prefix(const request *request) {
  size_t length = strlen(PREFIX);
  if (request->target_length < length || memcmp(request->target, PREFIX, length) != 0) {
    return 0;
  }
  return request->target_length == length || strchr("/?", request->target[length]) != NULL;
}

/* --- the server ----------------------------------------------------------------------------------------------------- */

static void *serve(void *argument) {
  int                client = (int)(intptr_t)argument;
  struct sockaddr_in peer = {0};
  socklen_t          peer_length = sizeof peer;
  char               ip[INET_ADDRSTRLEN] = "", remote[64] = "";
  request            request = {.bytes = malloc(HEAD_MAX + BODY_MAX)};
  if (getpeername(client, (struct sockaddr *)&peer, &peer_length) == 0 && inet_ntop(AF_INET, &peer.sin_addr, ip, sizeof ip)) {
    snprintf(remote, sizeof remote, "%s:%u", ip, (unsigned)ntohs(peer.sin_port));
  }
  if (request.bytes != NULL && read_request(client, &request)) {
    if (is_below_prefix(&request)) {
      hand_over(client, &request, remote);
    } else {
      answer_plainly(client, "200 OK", "this is the host's own page; corertc's are below " PREFIX "/\n");
    }
  }
  free(request.bytes);
  /* The answer first: a close with unread bytes would reset the connection. */
  shutdown(client, SHUT_WR);
  char rest[512];
  while (recv(client, rest, sizeof rest, 0) > 0) {
  }
  close(client);
  clients--;
  return NULL;
}

static void take(int listener) {
  int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (client < 0) {
    return;
  }
  /* A client that says nothing, or takes nothing, is not waited for. */
  struct timeval timeout = {.tv_sec = CLIENT_S};
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  pthread_t thread;
  if (++clients > CLIENTS_MAX || pthread_create(&thread, NULL, serve, (void *)(intptr_t)client) != 0) {
    clients--;
    close(client);
    return;
  }
  pthread_detach(thread);
}

static int listen_on(uint16_t port, uint16_t *bound) {
  int                listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int                yes = 1;
  struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t          length = sizeof addr;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof addr) != 0 || listen(listener, 64) != 0 ||
      getsockname(listener, (struct sockaddr *)&addr, &length) != 0) {
    perror("listen");
    return -1;
  }
  *bound = ntohs(addr.sin_port);
  return listener;
}

/* --- the media ------------------------------------------------------------------------------------------------------ */

/* FFmpeg's test picture and a tone, into the legs of `cam`. */
static pid_t run_ffmpeg(void) {
  static const char *const input[] = {"ffmpeg", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i",
                                      "testsrc2=size=640x360:rate=30", "-re", "-f", "lavfi", "-i", "sine=frequency=440"};
  static corertc_leg       legs[CORERTC_LEGS_MAX];
  static char              arguments[CORERTC_ARGV_MAX];
  static char             *argv[256];
  corertc_error            error = {.size = sizeof error};
  corertc_process_config  *config = corertc_process_config_new();
  size_t                   legs_length = 0, arguments_length = 0, count = 0;
  legs[0].size = sizeof legs[0];
  corertc_process_config_set_str(config, CORERTC_PROCESS_AUDIO_MAP, "1:a:0", strlen("1:a:0"));
  corertc_status status = corertc_process_start(subsystem, STREAM, strlen(STREAM), config, legs, CORERTC_LEGS_MAX, &legs_length,
                                                arguments, sizeof arguments, &arguments_length, &error);
  corertc_process_config_free(config);
  if (status != CORERTC_OK) {
    fprintf(stderr, "%s\n", error.message);
    return -1;
  }
  for (size_t i = 0; i < sizeof input / sizeof input[0]; i++) {
    argv[count++] = (char *)(uintptr_t)input[i];
  }
  for (size_t i = 0; i < legs_length; i++) {
    char *argument = arguments + legs[i].argv_offset;
    for (uint32_t n = 0; n < legs[i].argc && count + 1 < sizeof argv / sizeof argv[0]; n++) {
      argv[count++] = argument;
      argument += strlen(argument) + 1;
    }
  }
  pid_t child = fork();
  if (child == 0) {
    sigset_t none;
    /* It dies with its host, however that ends. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(argv[0], argv);
    _exit(127);
  }
  return child;
}

int main(int argc, char **argv) {
  sigset_t ends;
  uint16_t port = 0;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  /* Before the first thread: all of them inherit it. */
  sigprocmask(SIG_BLOCK, &ends, NULL);
  int signals = signalfd(-1, &ends, SFD_CLOEXEC);

  corertc_error   error = {.size = sizeof error};
  corertc_config *config = corertc_config_new();
  corertc_config_set_str(config, CORERTC_OPT_PATH_PREFIX, PREFIX, strlen(PREFIX));
  corertc_status status = corertc_subsystem_new(config, &subsystem, &error);
  corertc_config_free(config);
  if (status != CORERTC_OK) {
    fprintf(stderr, "%s: %s\n", corertc_status_name(status), error.message);
    return 1;
  }
  int   listener = listen_on(argc > 1 ? (uint16_t)atoi(argv[1]) : 8080, &port);
  pid_t ffmpeg = listener < 0 ? -1 : run_ffmpeg();
  if (ffmpeg > 0) {
    printf("ready http://127.0.0.1:%u" PREFIX "/\n", (unsigned)port);
    fflush(stdout);
    struct pollfd waits[2] = {{.fd = listener, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    while (waits[1].revents == 0) {
      if (poll(waits, 2, -1) > 0 && waits[0].revents != 0) {
        take(listener);
      }
    }
    /* FFmpeg first, then the hook. */
    kill(ffmpeg, SIGTERM);
    waitpid(ffmpeg, NULL, 0);
    corertc_process_stop(subsystem, STREAM, strlen(STREAM));
  }
  close(listener);
  corertc_subsystem_close(subsystem, 5000);
  /* Running requests end with the library's answer 404; then nobody is left who uses it. */
  for (int tenths = 0; clients > 0 && tenths < 10 * (CLIENT_S + 1); tenths++) {
    usleep(100 * 1000);
  }
  corertc_subsystem_free(subsystem);
  return ffmpeg > 0 ? 0 : 1;
}
