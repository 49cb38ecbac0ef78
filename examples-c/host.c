/* host.c - a media host in C: runs FFmpeg through corertc's legs and lets browsers watch.
 *
 * The order of things: configuration, subsystem, hooks (legs), listener, FFmpeg; and backwards at the end.
 * Signals are read from a descriptor, so the whole host is one loop without handlers. */
#define _GNU_SOURCE
#include <corertc.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "args.h"
#include "ffmpeg.h"
#include "source.h"

#define FFMPEG_STOP_MS 3000
#define CLOSE_MS       5000

/* A reserved set of legs. FFmpeg's argv points into `arguments`, so it lives as long as the process. */
typedef struct legs {
  corertc_leg list[CORERTC_LEGS_MAX];
  size_t      count;
  char        arguments[CORERTC_ARGV_MAX];
} legs;

typedef struct host {
  host_args          args;
  corertc_subsystem *subsystem;
  legs               egress_legs, ingest_legs;
  ffmpeg             egress, ingest;
  int                egress_started, ingest_started;
} host;

/* Called on threads of the library: stdio locks, so lines stay whole. */
static void on_log(void *user_data, int32_t level, const char *component, size_t component_len, const char *message,
                   size_t message_len, const char *fields, size_t fields_len) {
  static const char *const names[] = {"?", "error", "warn", "info", "debug", "trace"};
  (void)user_data;
  const char *name = level >= CORERTC_LOG_ERROR && level <= CORERTC_LOG_TRACE ? names[level] : names[0];
  fprintf(stderr, "%s %.*s: %.*s %.*s\n", name, (int)component_len, component, (int)message_len, message,
          (int)fields_len, fields);
}

/* On the library's callback thread. */
static void on_event(void *user_data, uint32_t event, const char *stream_id, size_t stream_id_len, const char *detail,
                     size_t detail_len) {
  static const char *const names[] = {"event",         "viewer joined", "viewer left",     "publisher joined", "publisher left",
                                      "stream active", "stream silent", "key frame wanted", "warning"};
  (void)user_data;
  const char *name = event <= CORERTC_EVENT_WARNING ? names[event] : names[0];
  fprintf(stderr, "host: %s: %.*s %.*s\n", name, (int)stream_id_len, stream_id, (int)detail_len, detail);
}

static int set_str(corertc_config *config, uint32_t option, const char *value, const char *name) {
  return value == NULL ? 0 : source_check(corertc_config_set_str(config, option, value, strlen(value)), name);
}

static corertc_config *configure(const host_args *args) {
  corertc_config *config = corertc_config_new();
  if (config == NULL || set_str(config, CORERTC_OPT_UDP_LISTEN, args->udp, "--udp") != 0 ||
      set_str(config, CORERTC_OPT_PUBLIC_IP, args->public_ip, "--public-ip") != 0 ||
      set_str(config, CORERTC_OPT_AUTH_TOKEN, args->token, "--token") != 0 ||
      set_str(config, CORERTC_OPT_TURN_SECRET, args->turn_secret, "--turn-secret") != 0 ||
      source_check(corertc_config_set_u64(config, CORERTC_OPT_WHIP_DIRECT, (uint64_t)args->direct), "--direct") != 0) {
    corertc_config_free(config);
    return NULL;
  }
  for (int i = 0; i < args->ice_server_count; i++) {
    const ice_server *server = &args->ice_servers[i];
    corertc_status status =
        corertc_config_add_ice_server(config, server->uri, strlen(server->uri), server->username,
                                      strlen(server->username), server->credential, strlen(server->credential));
    if (source_check(status, "--ice-server") != 0) {
      corertc_config_free(config);
      return NULL;
    }
  }
  return config;
}

static int create(host *self) {
  corertc_error error = {.size = sizeof error};
  corertc_config *config = configure(&self->args);
  if (config == NULL) {
    return -1;
  }
  corertc_status status = corertc_subsystem_new(config, &self->subsystem, &error);
  corertc_config_free(config);
  if (status != CORERTC_OK) {
    fprintf(stderr, "host: %s: %s\n", corertc_status_name(status), error.message);
    return -1;
  }
  corertc_subsystem_set_events(self->subsystem, on_event, NULL, NULL);
  return 0;
}

/* Adds a leg's arguments; an input's address needs -i before it. */
static void add_leg(ffmpeg *process, legs *reserved, const corertc_leg *leg, int is_input) {
  char *argument = reserved->arguments + leg->argv_offset;
  for (uint32_t i = 0; i < leg->argc; i++) {
    if (is_input && i + 1 == leg->argc) {
      ffmpeg_add(process, "-i");
    }
    ffmpeg_add(process, argument);
    argument += strlen(argument) + 1;
  }
}

/* Asks a hook for legs. */
static corertc_status reserve(host *self, corertc_start_fn start, const char *id, const corertc_process_config *config,
                              legs *reserved, corertc_error *error) {
  size_t arguments_len = 0;
  for (size_t i = 0; i < CORERTC_LEGS_MAX; i++) {
    reserved->list[i].size = sizeof reserved->list[i];
  }
  return start(self->subsystem, id, strlen(id), config, reserved->list, CORERTC_LEGS_MAX, &reserved->count,
               reserved->arguments, sizeof reserved->arguments, &arguments_len, error);
}

static int start_egress(host *self) {
  corertc_error error = {.size = sizeof error};
  corertc_process_config *config = corertc_process_config_new();
  ffmpeg_init(&self->egress, "ffmpeg");
  if (config == NULL || source_prepare(&self->args, &self->egress, config) != 0) {
    corertc_process_config_free(config);
    return -1;
  }
  corertc_status status = reserve(self, corertc_process_start, self->args.id, config, &self->egress_legs, &error);
  corertc_process_config_free(config);
  if (status != CORERTC_OK) {
    fprintf(stderr, "host: %s: %s\n", corertc_status_name(status), error.message);
    return -1;
  }
  self->egress_started = 1;
  for (size_t i = 0; i < self->egress_legs.count; i++) {
    add_leg(&self->egress, &self->egress_legs, &self->egress_legs.list[i], 0);
  }
  return 0;
}

static int start_ingest(host *self) {
  corertc_error error = {.size = sizeof error};
  const char *codec = self->args.whip_codec != NULL ? self->args.whip_codec : "h264";
  corertc_process_config *config = corertc_process_config_new();
  corertc_status status = corertc_process_config_set_str(config, CORERTC_PROCESS_VIDEO_CODEC, codec, strlen(codec));
  if (status != CORERTC_OK) {
    corertc_process_config_free(config);
    fprintf(stderr, "host: --whip-codec: %s: %s\n", codec, corertc_status_name(status));
    return -1;
  }
  status = reserve(self, corertc_input_start, self->args.whip, config, &self->ingest_legs, &error);
  corertc_process_config_free(config);
  if (status == CORERTC_E_UNSUPPORTED) {
    fprintf(stderr, "host: --whip: this build of corertc has no ingest\n");
    return -1;
  }
  if (status != CORERTC_OK) {
    fprintf(stderr, "host: --whip: %s: %s\n", corertc_status_name(status), error.message);
    return -1;
  }
  self->ingest_started = 1;
  ffmpeg_init(&self->ingest, "ffmpeg (ingest)");
  ffmpeg_add(&self->ingest, "-y");
  for (size_t i = 0; i < self->ingest_legs.count; i++) {
    add_leg(&self->ingest, &self->ingest_legs, &self->ingest_legs.list[i], 1);
  }
  char *output = strdup(self->args.output); /* lives as long as the process */
  if (output == NULL) {
    return -1;
  }
  if (strpbrk(output, " \t\n") == NULL) {
    ffmpeg_add(&self->ingest, "-c");
    ffmpeg_add(&self->ingest, "copy");
  }
  ffmpeg_add_words(&self->ingest, output);
  return 0;
}

/* Where a browser on this machine finds the server: the port that was bound, loopback for a wildcard. */
static void print_url(FILE *to, const char *before, const host *self, uint16_t port, const char *path, const char *id) {
  const char *colon = strrchr(self->args.listen, ':');
  int host_len = colon == NULL ? 0 : (int)(colon - self->args.listen);
  const char *name = self->args.listen;
  if (host_len == 0 || strncmp(name, "0.0.0.0:", 8) == 0) {
    name = "127.0.0.1";
    host_len = 9;
  } else if (strncmp(name, "[::]:", 5) == 0) {
    name = "[::1]";
    host_len = 5;
  }
  fprintf(to, "%shttp://%.*s:%u%s", before, host_len, name, (unsigned)port, path);
  for (const char *c = id; *c != '\0'; c++) {
    int plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '-' ||
                *c == '.' || *c == '_' || *c == '~';
    fprintf(to, plain ? "%c" : "%%%02X", (unsigned char)*c);
  }
  fputc('\n', to);
}

static int listen_http(host *self) {
  corertc_error error = {.size = sizeof error};
  uint16_t port = 0;
  const char *address = self->args.listen;
  corertc_status status = corertc_http_listen(self->subsystem, address, strlen(address), &port, &error);
  if (status != CORERTC_OK) {
    fprintf(stderr, "host: --listen: %s: %s\n", corertc_status_name(status), error.message);
    return -1;
  }
  print_url(stderr, "host: watch   ", self, port, "/play/", self->args.id);
  print_url(stderr, "host: WHEP    ", self, port, "/whep/", self->args.id);
  if (self->args.whip != NULL) {
    print_url(stderr, "host: publish ", self, port, "/publish/", self->args.whip);
    print_url(stderr, "host: WHIP    ", self, port, "/whip/", self->args.whip);
  }
  print_url(stdout, "ready ", self, port, "/", "");
  fflush(stdout);
  return 0;
}

/* The sooner of two waits; -1 is none. */
static int sooner(int a, int b) {
  if (a < 0 || b < 0) {
    return a < 0 ? b : a;
  }
  return a < b ? a : b;
}

/* Until SIGINT or SIGTERM. */
static void run(host *self, int signals) {
  ffmpeg_start(&self->egress);
  if (self->ingest_started) {
    ffmpeg_start(&self->ingest);
  }
  for (;;) {
    int wait_ms = sooner(ffmpeg_restart_if_due(&self->egress), ffmpeg_restart_if_due(&self->ingest));
    struct pollfd readable = {signals, POLLIN, 0};
    if (poll(&readable, 1, wait_ms) <= 0) {
      continue;
    }
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) != (ssize_t)sizeof info) {
      continue;
    }
    if (info.ssi_signo != SIGCHLD) {
      return;
    }
    ffmpeg_reap(&self->egress);
    ffmpeg_reap(&self->ingest);
  }
}

/* input_stop ends the ingest's FFmpeg cleanly, so it comes first; process_stop comes after FFmpeg is gone. */
static void stop(host *self) {
  if (self->ingest_started) {
    corertc_input_stop(self->subsystem, self->args.whip, strlen(self->args.whip));
    ffmpeg_join(&self->ingest, FFMPEG_STOP_MS); /* its input has ended: it writes its file to the end */
    ffmpeg_stop(&self->ingest, FFMPEG_STOP_MS);
  }
  ffmpeg_stop(&self->egress, FFMPEG_STOP_MS);
  if (self->egress_started) {
    corertc_process_stop(self->subsystem, self->args.id, strlen(self->args.id));
  }
  corertc_subsystem_close(self->subsystem, CLOSE_MS);
  corertc_subsystem_free(self->subsystem);
}

/* Blocks the signals it wants to read from a descriptor, before any thread exists. */
static int read_signals(void) {
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGINT);
  sigaddset(&wanted, SIGTERM);
  sigaddset(&wanted, SIGCHLD);
  sigprocmask(SIG_BLOCK, &wanted, NULL);
  return signalfd(-1, &wanted, SFD_CLOEXEC);
}

int main(int argc, char **argv) {
  static host self; /* its argument buffers are large */
  int status = 0;
  if (args_parse(argc, argv, &self.args, &status) != 0) {
    return status;
  }
  int signals = read_signals();
  if (signals < 0) {
    fprintf(stderr, "host: signalfd: %s\n", strerror(errno));
    return 1;
  }
  corertc_set_log(on_log, NULL, NULL, CORERTC_LOG_INFO);
  if (create(&self) != 0) {
    return 1;
  }
  status = start_egress(&self) != 0 || (self.args.whip != NULL && start_ingest(&self) != 0) || listen_http(&self) != 0;
  if (status == 0) {
    run(&self, signals);
  }
  stop(&self);
  corertc_set_log(NULL, NULL, NULL, CORERTC_LOG_INFO);
  close(signals);
  return status;
}
