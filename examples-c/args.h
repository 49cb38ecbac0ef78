/* args.h - the host's command line, parsed into plain values. */
#ifndef HOST_ARGS_H
#define HOST_ARGS_H

#include <stdint.h>

#define ICE_SERVERS_MAX 16

typedef struct ice_server {
  const char *uri;
  const char *username;                 /* "" where none */
  const char *credential;
} ice_server;

/* Strings point into argv; NULL where the option was not given. */
typedef struct host_args {
  const char *id;
  const char *input;
  const char *listen;
  const char *udp;
  const char *public_ip;
  const char *token;
  const char *codec;
  const char *source_codec;
  const char *turn_secret;
  const char *whip;
  const char *whip_codec;
  const char *output;
  uint64_t    gop_ms;                   /* 0: the library's default */
  int         audio;
  int         direct;
  ice_server  ice_servers[ICE_SERVERS_MAX];
  int         ice_server_count;
} host_args;

/* 0 on success. Otherwise it said on stderr what is wrong, and *status is what main shall return (0 after --help). */
int args_parse(int argc, char **argv, host_args *args, int *status);

#endif
