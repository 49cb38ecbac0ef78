/* Callbacks of a live subsystem: replaced, detached, entered again, released once; what is refused from inside them; the
 * TOO_SMALL contract; two subsystems side by side. */
#include "check.h"

typedef struct host {
  corertc_subsystem *subsystem, *other;
  int calls, released;
  int detach; /* from inside */
  char last[64];
} host;

static corertc_error err;
static corertc_leg legs[CORERTC_LEGS_MAX];
static char argv[CORERTC_ARGV_MAX];
static size_t legs_len, argv_len;

static corertc_status start(corertc_subsystem *subsystem, const char *id)
{
  legs[0].size = sizeof legs[0];
  err.size = sizeof err;
  return corertc_process_start(subsystem, id, strlen(id), NULL, legs, CORERTC_LEGS_MAX, &legs_len, argv, sizeof argv,
                               &argv_len, &err);
}

static corertc_status stop(corertc_subsystem *subsystem, const char *id)
{
  return corertc_process_stop(subsystem, id, strlen(id));
}

static void release(void *user_data)
{
  ((host *)user_data)->released++;
}

static void teardown(void *user_data, const char *id, size_t id_len)
{
  host *h = user_data;
  CHECK(strlen(id) == id_len && id_len < sizeof h->last);
  strcpy(h->last, id);
  h->calls++;
  CHECK_STATUS(corertc_subsystem_close(h->subsystem, 1000), CORERTC_E_STATE);
  CHECK_STATUS(start(h->subsystem, id), CORERTC_E_STATE);
  CHECK(corertc_subsystem_enabled(h->subsystem) == 1);
  if (h->detach) {
    CHECK_STATUS(corertc_subsystem_set_teardown(h->subsystem, NULL, NULL, NULL), CORERTC_OK);
    CHECK(h->released == 0);
  }
}

static void legs_and_room(corertc_subsystem *s)
{
  size_t room, bytes, i, j, at, legs_before = 0;
  char first[CORERTC_ARGV_MAX];
  uint16_t port;
  for (i = 0; i < 3; i++) { /* the same answer at every capacity, and nothing reserved */
    legs[0].size = sizeof legs[0];
    CHECK_STATUS(corertc_process_start(s, TEXT("room"), NULL, i == 2 ? NULL : legs, i == 2 ? 0 : i, &room, argv,
                                       i == 1 ? sizeof argv : 0, &bytes, NULL),
                 CORERTC_E_TOO_SMALL);
    CHECK(room >= 2 && room <= CORERTC_LEGS_MAX && bytes > 0 && bytes <= CORERTC_ARGV_MAX);
    CHECK(i == 0 || (room == legs_before && bytes == argv_len));
    legs_before = room;
    argv_len = bytes;
    CHECK(corertc_subsystem_stream_count(s) == 0);
    CHECK_STATUS(stop(s, "room"), CORERTC_E_NOT_FOUND);
  }
  legs[0].size = sizeof legs[0];
  CHECK_STATUS(corertc_process_start(s, TEXT("room"), NULL, legs, room, &legs_len, argv, bytes, &argv_len, NULL), CORERTC_OK);
  CHECK(legs_len == 2 && argv_len <= bytes);
  for (i = 0, at = 0; i < legs_len; i++) {
    CHECK(legs[i].size == sizeof legs[0] && legs[i].argv_offset == at && legs[i].reserved == 0);
    for (j = 0; j < legs[i].argc; j++)
      at += strlen(argv + at) + 1;
    CHECK(at == legs[i].argv_offset + legs[i].argv_len);
  }
  CHECK(at == argv_len && corertc_subsystem_stream_count(s) == 1);
  CHECK(strcmp(legs[0].id, "corertc_video") == 0 && legs[0].kind == CORERTC_KIND_VIDEO);
  CHECK(legs[0].rtp_port % 2 == 0 && legs[1].rtp_port == legs[0].rtp_port + 1);
  memcpy(first, argv, sizeof first);
  port = legs[0].rtp_port;
  bytes = argv_len;
  CHECK_STATUS(start(s, "room"), CORERTC_OK); /* a known id: the same again */
  CHECK(legs[0].rtp_port == port && argv_len == bytes && memcmp(first, argv, bytes) == 0);
  CHECK_STATUS(stop(s, "room"), CORERTC_OK);
  CHECK_STATUS(stop(s, "room"), CORERTC_E_NOT_FOUND);
}

int main(void)
{
  corertc_subsystem *one = check_subsystem(1), *two = check_subsystem(1);
  host a = {0}, b = {0}, c = {0};
  a.subsystem = b.subsystem = c.subsystem = one;
  legs_and_room(one);

  CHECK_STATUS(corertc_subsystem_set_teardown(one, teardown, &a, release), CORERTC_OK);
  CHECK_STATUS(start(one, "x:/1"), CORERTC_OK);
  CHECK_STATUS(start(two, "x:/1"), CORERTC_OK);
  CHECK_STATUS(stop(two, "x:/1"), CORERTC_OK);
  CHECK(a.calls == 0);
  CHECK_STATUS(stop(one, "x:/1"), CORERTC_OK);
  CHECK(a.calls == 1 && a.released == 0 && strcmp(a.last, "x:/1") == 0);

  b.detach = 1;
  CHECK_STATUS(corertc_subsystem_set_teardown(one, teardown, &b, release), CORERTC_OK);
  CHECK(a.released == 1);
  CHECK_STATUS(start(one, "2"), CORERTC_OK);
  CHECK_STATUS(stop(one, "2"), CORERTC_OK);
  CHECK(b.calls == 1 && b.released == 1);
  CHECK_STATUS(start(one, "3"), CORERTC_OK);
  CHECK_STATUS(stop(one, "3"), CORERTC_OK);
  CHECK(a.calls == 1 && b.calls == 1);

  /* close runs the teardown of what is left, once */
  CHECK_STATUS(corertc_subsystem_set_teardown(one, teardown, &c, release), CORERTC_OK);
  CHECK_STATUS(start(one, "4"), CORERTC_OK);
  CHECK_STATUS(corertc_subsystem_close(one, 5000), CORERTC_OK);
  CHECK(c.calls == 1 && c.released == 0 && strcmp(c.last, "4") == 0);
  CHECK_STATUS(corertc_subsystem_close(one, 5000), CORERTC_OK);
  CHECK(c.calls == 1 && corertc_subsystem_stream_count(one) == 0);

  /* after close; a refused set leaves the user data alone */
  CHECK_STATUS(corertc_subsystem_set_teardown(one, teardown, &a, release), CORERTC_E_STATE);
  CHECK_STATUS(corertc_subsystem_set_whip_teardown(one, teardown, &a, release), CORERTC_E_STATE);
  CHECK_STATUS(corertc_subsystem_set_events(one, NULL, &a, release), CORERTC_E_STATE);
  CHECK_STATUS(corertc_subsystem_set_auth(one, NULL, &a, release), CORERTC_E_STATE);
  CHECK(a.released == 1);
  CHECK_STATUS(start(one, "5"), CORERTC_E_STATE);
  CHECK_STATUS(corertc_http_listen(one, TEXT("127.0.0.1:0"), NULL, NULL), CORERTC_E_STATE);
  CHECK(stop(one, "4") < 0);
  corertc_subsystem_free(one);
  CHECK(c.released == 1);

  /* the neighbour never noticed; free alone closes too */
  a.subsystem = two;
  CHECK_STATUS(corertc_subsystem_set_teardown(two, teardown, &a, release), CORERTC_OK);
  CHECK_STATUS(start(two, "6"), CORERTC_OK);
  CHECK(corertc_subsystem_stream_count(two) == 1);
  corertc_subsystem_free(two);
  CHECK(a.calls == 2 && a.released == 2);
  return check_failed;
}
