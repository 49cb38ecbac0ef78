/* What the C tests of the ABI share: a check that names its line, and texts as (pointer, length). */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corertc.h"

static int check_failed;

#define CHECK(condition)                                                         \
  do {                                                                           \
    if (!(condition)) {                                                          \
      printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                     \
      check_failed = 1;                                                          \
    }                                                                            \
  } while (0)

#define CHECK_STATUS(call, wanted)                                               \
  do {                                                                           \
    corertc_status check_got = (call);                                           \
    if (check_got != (wanted)) {                                                 \
      printf("%s:%d: %s gives %s, not %s\n", __FILE__, __LINE__, #call,          \
             corertc_status_name(check_got), #wanted);                           \
      check_failed = 1;                                                          \
    }                                                                            \
  } while (0)

/* A string literal as the two arguments C passes. */
#define TEXT(literal) (literal), sizeof(literal) - 1

/* A subsystem on loopback, enabled or not; ends the program where it can't be made. */
static corertc_subsystem *check_subsystem(int enable)
{
  corertc_error err;
  corertc_subsystem *subsystem = NULL;
  corertc_config *config = corertc_config_new();
  memset(&err, 0, sizeof err);
  err.size = sizeof err;
  CHECK_STATUS(corertc_config_set_u64(config, CORERTC_OPT_ENABLE, (uint64_t)enable), CORERTC_OK);
  CHECK_STATUS(corertc_config_set_u64(config, CORERTC_OPT_WORKERS, 1), CORERTC_OK);
  CHECK_STATUS(corertc_config_set_str(config, CORERTC_OPT_UDP_LISTEN, TEXT("127.0.0.1:0")), CORERTC_OK);
  if (corertc_subsystem_new(config, &subsystem, &err) != CORERTC_OK) {
    printf("corertc_subsystem_new: %s\n", err.message);
    exit(2);
  }
  corertc_config_free(config);
  return subsystem;
}

#endif
