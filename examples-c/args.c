/* args.c - reads the command line; says what is wrong with it. */
#include "args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
    "usage: host --id ID [--input INPUT] [--listen ADDR] [--udp ADDR] [--public-ip IP] [--token T]\n"
    "            [--codec C] [--source-codec C] [--gop SECONDS] [--no-audio]\n"
    "            [--ice-server URI[,USER,CREDENTIAL]]... [--turn-secret S] [--whip ID --output OUTPUT]\n"
    "            [--whip-codec C] [--direct]\n"
    "\n"
    "  --id            the stream's id: viewers open /play/ID\n"
    "  --input         a lone word is an address (file, URL); more words are FFmpeg arguments as they are;\n"
    "                  without it: a test picture with a running clock, and a tone\n"
    "  --listen        address of the HTTP server (default 127.0.0.1:8080; port 0: any free one)\n"
    "  --udp           address of the media socket (default 0.0.0.0:0)\n"
    "  --public-ip     the IP address that viewers are told (default: those of every interface)\n"
    "  --token         viewers must send it as a bearer token or ?token=\n"
    "  --codec         h264 (default), vp8, h265, vp9, av1 or copy\n"
    "  --source-codec  what --codec copy copies (default: probed where INPUT is a file, else h264)\n"
    "  --gop           seconds between two key frames\n"
    "  --whip          receive a publisher's stream under this id and run FFmpeg with OUTPUT on it\n"
    "  --whip-codec    the publisher's video: h264 (default), vp8, vp9, av1 or h265\n"
    "  --direct        viewers may also open /play/ID of --whip: the publisher without FFmpeg in between\n";

static int fail(const char *what, const char *which) {
  fprintf(stderr, "host: %s %s\n\n%s", what, which, USAGE);
  return -1;
}

/* Where the value of an option goes, or NULL for an unknown option. */
static const char **slot_of(host_args *args, const char *name) {
  struct { const char *name; const char **slot; } known[] = {
      {"--id", &args->id},
      {"--input", &args->input},
      {"--listen", &args->listen},
      {"--udp", &args->udp},
      {"--public-ip", &args->public_ip},
      {"--token", &args->token},
      {"--codec", &args->codec},
      {"--source-codec", &args->source_codec},
      {"--turn-secret", &args->turn_secret},
      {"--whip", &args->whip},
      {"--whip-codec", &args->whip_codec},
      {"--output", &args->output},
  };
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (strcmp(name, known[i].name) == 0) {
      return known[i].slot;
    }
  }
  return NULL;
}

/* "URI" or "URI,USER,CREDENTIAL"; a credential may hold commas. Cuts the text in place. */
static int add_ice_server(host_args *args, char *text) {
  if (args->ice_server_count == ICE_SERVERS_MAX) {
    return fail("too many", "--ice-server");
  }
  ice_server *server = &args->ice_servers[args->ice_server_count++];
  server->uri = text;
  server->username = "";
  server->credential = "";
  char *user = strchr(text, ',');
  if (user == NULL) {
    return 0;
  }
  *user++ = '\0';
  char *credential = strchr(user, ',');
  if (credential == NULL) {
    return fail("a user needs a credential:", "--ice-server");
  }
  *credential++ = '\0';
  server->username = user;
  server->credential = credential;
  return 0;
}

static int set_gop(host_args *args, const char *text) {
  char *end = NULL;
  double seconds = strtod(text, &end);
  if (end == text || *end != '\0' || !(seconds >= 0.1 && seconds <= 60.0)) {
    return fail("seconds from 0.1 to 60 expected:", "--gop");
  }
  args->gop_ms = (uint64_t)(seconds * 1000.0 + 0.5);
  return 0;
}

static int set_value(host_args *args, const char *name, char *value) {
  if (strcmp(name, "--gop") == 0) {
    return set_gop(args, value);
  }
  if (strcmp(name, "--ice-server") == 0) {
    return add_ice_server(args, value);
  }
  const char **slot = slot_of(args, name);
  if (slot == NULL) {
    return fail("unknown option", name);
  }
  *slot = value;
  return 0;
}

int args_parse(int argc, char **argv, host_args *args, int *status) {
  memset(args, 0, sizeof *args);
  args->audio = 1;
  args->listen = "127.0.0.1:8080";
  *status = 2;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      fputs(USAGE, stdout);
      *status = 0;
      return -1;
    }
    if (strcmp(argv[i], "--no-audio") == 0) {
      args->audio = 0;
      continue;
    }
    if (strcmp(argv[i], "--direct") == 0) {
      args->direct = 1;
      continue;
    }
    if (i + 1 == argc) {
      return fail("a value or an option is missing after", argv[i]);
    }
    if (set_value(args, argv[i], argv[i + 1]) != 0) {
      return -1;
    }
    i++;
  }
  if (args->id == NULL) {
    return fail("missing option", "--id");
  }
  if ((args->whip == NULL) != (args->output == NULL)) {
    return fail("they need each other:", "--whip and --output");
  }
  if (args->whip == NULL && (args->whip_codec != NULL || args->direct)) {
    return fail("missing option", "--whip");
  }
  *status = 0;
  return 0;
}
