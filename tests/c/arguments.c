/* NULL, bad lengths, bad UTF-8 and wrong sizes over every export; all of it is refused, nothing of it is harmful. */
#include "check.h"

static const char bad[] = "a\xff" "b";
#define BAD bad, sizeof bad - 1
#define LONG ((size_t)-1)
#define INVALID CORERTC_E_INVALID

static corertc_subsystem *s; /* a disabled one: arguments are checked first */
static corertc_error err;
static corertc_leg legs[CORERTC_LEGS_MAX];
static char argv[CORERTC_ARGV_MAX];
static size_t legs_len, argv_len, len;
static char buf[16];

/* The last call named this argument. */
static void named(const char *name)
{
  CHECK(err.code == INVALID);
  if (strncmp(err.message, name, strlen(name)) != 0) {
    printf("the message names not %s: %s\n", name, err.message);
    check_failed = 1;
  }
}

static void library(void)
{
  CHECK(strcmp(corertc_status_name(CORERTC_E_LIMIT), "CORERTC_E_LIMIT") == 0);
  CHECK(corertc_status_name(12345) != NULL && corertc_status_name(INT32_MIN) != NULL);
  CHECK(strcmp(corertc_version(), "0.1.0") == 0);
  CHECK(corertc_abi_version() == CORERTC_ABI_VERSION);
  CHECK(corertc_has_feature(TEXT("whep")) == 1);
  CHECK(corertc_has_feature(NULL, 0) == 0);
  CHECK(corertc_has_feature(NULL, 4) == 0);
  CHECK(corertc_has_feature(BAD) == 0);
  CHECK(corertc_has_feature("whep", LONG) == 0);
}

static void configs(void)
{
  corertc_config *config = corertc_config_new();
  corertc_subsystem *made = (corertc_subsystem *)&len;
  corertc_response *response;
  CHECK(config != NULL);
  CHECK_STATUS(corertc_config_set_str(NULL, CORERTC_OPT_PUBLIC_IP, TEXT("x")), INVALID);
  CHECK_STATUS(corertc_config_set_str(config, CORERTC_OPT_AUTH_TOKEN, NULL, 1), INVALID);
  CHECK_STATUS(corertc_config_set_str(config, CORERTC_OPT_AUTH_TOKEN, "x", LONG), INVALID);
  CHECK_STATUS(corertc_config_set_str(config, CORERTC_OPT_AUTH_TOKEN, BAD), INVALID);
  CHECK_STATUS(corertc_config_set_str(config, CORERTC_OPT_AUTH_TOKEN, "a\0b", 3), INVALID);
  CHECK_STATUS(corertc_config_set_str(config, CORERTC_OPT_AUTH_TOKEN, NULL, 0), CORERTC_OK);
  CHECK_STATUS(corertc_config_set_str(config, CORERTC_OPT_ENABLE, TEXT("1")), INVALID);
  CHECK_STATUS(corertc_config_set_str(config, 0, TEXT("1")), CORERTC_E_UNSUPPORTED);
  CHECK_STATUS(corertc_config_set_u64(NULL, CORERTC_OPT_ENABLE, 1), INVALID);
  CHECK_STATUS(corertc_config_set_u64(config, CORERTC_OPT_PUBLIC_IP, 1), INVALID);
  CHECK_STATUS(corertc_config_set_u64(config, 4711, 1), CORERTC_E_UNSUPPORTED);
  CHECK_STATUS(corertc_config_add_ice_server(NULL, TEXT("stun:a"), NULL, 0, NULL, 0), INVALID);
  CHECK_STATUS(corertc_config_add_ice_server(config, NULL, 0, NULL, 0, NULL, 0), INVALID);
  CHECK_STATUS(corertc_config_add_ice_server(config, TEXT("stun:a"), NULL, 1, NULL, 0), INVALID);
  CHECK_STATUS(corertc_config_add_ice_server(config, TEXT("stun:a"), NULL, 0, BAD), INVALID);
  CHECK_STATUS(corertc_config_add_ice_server(config, TEXT("http:a"), NULL, 0, NULL, 0), INVALID);
  CHECK_STATUS(corertc_config_validate(NULL, &err), INVALID);
  named("config");
  CHECK_STATUS(corertc_config_validate(config, NULL), CORERTC_OK);
  CHECK_STATUS(corertc_config_validate(config, &err), CORERTC_OK);
  CHECK(err.code == CORERTC_OK && err.message[0] == 0 && err.size == 256);
  err.size = 3;
  CHECK_STATUS(corertc_config_validate(config, &err), INVALID);
  CHECK(err.size == 3);
  err.size = 1u << 30;
  CHECK_STATUS(corertc_config_validate(config, &err), INVALID);
  /* Whatever is wrong, what a call would have made is NULL. */
  CHECK_STATUS(corertc_subsystem_new(config, &made, &err), INVALID);
  CHECK(made == NULL);
  response = (corertc_response *)&len;
  CHECK_STATUS(corertc_http_handle(NULL, TEXT("GET"), TEXT("/"), NULL, 0, NULL, 0, NULL, 0, 0, &response, &err), INVALID);
  CHECK(response == NULL);
  err.size = sizeof err;

  CHECK_STATUS(corertc_subsystem_new(config, NULL, &err), INVALID);
  named("out");
  CHECK_STATUS(corertc_subsystem_new(NULL, &made, &err), INVALID);
  named("config");
  CHECK(made == NULL);
  CHECK_STATUS(corertc_config_set_str(config, CORERTC_OPT_NAT1TO1_IPS, TEXT("x")), CORERTC_OK);
  CHECK_STATUS(corertc_config_validate(config, &err), INVALID);
  CHECK(strcmp(err.message, "NAT1TO1_IPS: \"x\" is not an IP address") == 0);
  CHECK_STATUS(corertc_subsystem_new(config, &made, &err), INVALID);
  named("NAT1TO1_IPS");
  CHECK(made == NULL);
  corertc_config_free(config);
  corertc_config_free(NULL);
}

static void processes(void)
{
  static char long_id[513];
  corertc_process_config *config = corertc_process_config_new();
  corertc_start_fn starts[2];
  int i;
  memset(long_id, 'x', sizeof long_id);
  CHECK_STATUS(corertc_process_config_set_str(NULL, CORERTC_PROCESS_VIDEO_MAP, TEXT("x")), INVALID);
  CHECK_STATUS(corertc_process_config_set_str(config, CORERTC_PROCESS_VIDEO_MAP, BAD), INVALID);
  CHECK_STATUS(corertc_process_config_set_str(config, CORERTC_PROCESS_VIDEO_MAP, NULL, 1), INVALID);
  CHECK_STATUS(corertc_process_config_set_str(config, CORERTC_PROCESS_VIDEO, TEXT("x")), INVALID);
  CHECK_STATUS(corertc_process_config_set_str(config, CORERTC_PROCESS_VIDEO_CODEC, TEXT("theora")), CORERTC_E_UNSUPPORTED);
  CHECK_STATUS(corertc_process_config_set_u64(NULL, CORERTC_PROCESS_VIDEO, 1), INVALID);
  CHECK_STATUS(corertc_process_config_set_u64(config, CORERTC_PROCESS_VIDEO_MAP, 1), INVALID);
  CHECK_STATUS(corertc_process_config_set_u64(config, 0, 1), CORERTC_E_UNSUPPORTED);

  starts[0] = corertc_process_start;
  starts[1] = corertc_input_start;
  for (i = 0; i < 2; i++) {
#define START(s, id, id_len, l, lc, ll, a, ac, al) \
  starts[i](s, id, id_len, NULL, l, lc, ll, a, ac, al, &err)
    legs[0].size = sizeof legs[0];
    CHECK_STATUS(START(NULL, "a", 1, legs, 4, &legs_len, argv, sizeof argv, &argv_len), INVALID);
    named("subsystem");
    CHECK_STATUS(START(s, NULL, 1, legs, 4, &legs_len, argv, sizeof argv, &argv_len), INVALID);
    named("id");
    CHECK_STATUS(START(s, "", 0, legs, 4, &legs_len, argv, sizeof argv, &argv_len), INVALID);
    named("id");
    CHECK_STATUS(START(s, "a\0b", 3, legs, 4, &legs_len, argv, sizeof argv, &argv_len), INVALID);
    named("id");
    CHECK_STATUS(START(s, bad, sizeof bad - 1, legs, 4, &legs_len, argv, sizeof argv, &argv_len), INVALID);
    named("id");
    CHECK_STATUS(START(s, long_id, 513, legs, 4, &legs_len, argv, sizeof argv, &argv_len), INVALID);
    named("id");
    CHECK_STATUS(START(s, "a", LONG, legs, 4, &legs_len, argv, sizeof argv, &argv_len), INVALID);
    CHECK_STATUS(START(s, "a", 1, NULL, 4, &legs_len, argv, sizeof argv, &argv_len), INVALID);
    named("legs");
    CHECK_STATUS(START(s, "a", 1, legs, LONG, &legs_len, argv, sizeof argv, &argv_len), INVALID);
    CHECK_STATUS(START(s, "a", 1, legs, 4, NULL, argv, sizeof argv, &argv_len), INVALID);
    named("legs_len");
    CHECK_STATUS(START(s, "a", 1, legs, 4, &legs_len, NULL, 9, &argv_len), INVALID);
    named("argv");
    CHECK_STATUS(START(s, "a", 1, legs, 4, &legs_len, argv, LONG, &argv_len), INVALID);
    CHECK_STATUS(START(s, "a", 1, legs, 4, &legs_len, argv, sizeof argv, NULL), INVALID);
    named("argv_len");
    legs[0].size = 4;
    CHECK_STATUS(START(s, "a", 1, legs, 4, &legs_len, argv, sizeof argv, &argv_len), INVALID);
    named("legs");
    legs[0].size = LONG;
    CHECK_STATUS(START(s, "a", 1, legs, 4, &legs_len, argv, sizeof argv, &argv_len), INVALID);
    legs[0].size = sizeof legs[0];
    /* A disabled subsystem: fine, and no legs, even without any room. */
    legs_len = argv_len = 9;
    CHECK_STATUS(START(s, long_id, 512, legs, 4, &legs_len, argv, sizeof argv, &argv_len), CORERTC_OK);
    CHECK(legs_len == 0 && argv_len == 0);
    CHECK_STATUS(START(s, "a:/b", 4, NULL, 0, &legs_len, NULL, 0, &argv_len), CORERTC_OK);
  }
  CHECK_STATUS(corertc_process_config_set_u64(config, CORERTC_PROCESS_PKT_SIZE, 1), CORERTC_OK);
  CHECK_STATUS(corertc_process_start(s, "a", 1, config, legs, 4, &legs_len, argv, sizeof argv, &argv_len, &err), INVALID);
  named("PKT_SIZE");
  corertc_process_config_free(config);
  corertc_process_config_free(NULL);
}

static void stops(void)
{
  static const corertc_stop_fn all[] = {corertc_process_stop, corertc_input_stop, corertc_input_request_keyframe,
                                        corertc_input_interrupt, corertc_session_close};
  size_t i;
  for (i = 0; i < sizeof all / sizeof all[0]; i++) {
    CHECK_STATUS(all[i](NULL, "a", 1), INVALID);
    CHECK_STATUS(all[i](s, NULL, 0), INVALID);
    CHECK_STATUS(all[i](s, NULL, 1), INVALID);
    CHECK_STATUS(all[i](s, "a", LONG), INVALID);
    CHECK_STATUS(all[i](s, BAD), INVALID);
    CHECK(all[i](s, "a", 1) < 0);
  }
  CHECK_STATUS(corertc_process_stop(s, "a", 1), CORERTC_E_NOT_FOUND);
  CHECK_STATUS(corertc_session_close(s, "a", 1), CORERTC_E_NOT_FOUND);
}

static void structs(void)
{
  typedef corertc_status (*hooks_fn)(corertc_subsystem *, corertc_hooks *);
  static const hooks_fn all[] = {corertc_subsystem_hooks, corertc_subsystem_whip_hooks, corertc_subsystem_merged_hooks};
  corertc_hooks hooks;
  corertc_stats stats;
  int i;
  for (i = 0; i < 3; i++) {
    memset(&hooks, 0x55, sizeof hooks);
    hooks.size = 7;
    CHECK_STATUS(all[i](s, &hooks), INVALID);
    hooks.size = sizeof hooks;
    CHECK_STATUS(all[i](NULL, &hooks), INVALID);
    CHECK_STATUS(all[i](s, NULL), INVALID);
    CHECK_STATUS(all[i](s, &hooks), CORERTC_OK);
    CHECK(hooks.size == sizeof hooks && hooks.subsystem == s);
    CHECK(hooks.on_start == (i == 1 ? NULL : corertc_process_start));
    CHECK(hooks.on_stop == (i == 1 ? NULL : corertc_process_stop));
    CHECK(hooks.on_input_start == (i == 0 ? NULL : corertc_input_start));
    CHECK(hooks.on_input_stop == (i == 0 ? NULL : corertc_input_stop));
  }
  memset(&stats, 0x55, sizeof stats);
  stats.size = 7;
  CHECK_STATUS(corertc_subsystem_stats(s, &stats), INVALID);
  stats.size = 1u << 20;
  CHECK_STATUS(corertc_subsystem_stats(s, &stats), INVALID);
  stats.size = 16; /* an older header */
  CHECK_STATUS(corertc_subsystem_stats(s, &stats), CORERTC_OK);
  CHECK(stats.size == 16 && stats.streams == 0 && stats.inputs == 0x5555555555555555u);
  stats.size = sizeof stats;
  CHECK_STATUS(corertc_subsystem_stats(NULL, &stats), INVALID);
  CHECK_STATUS(corertc_subsystem_stats(s, NULL), INVALID);
  CHECK_STATUS(corertc_subsystem_stats(s, &stats), CORERTC_OK);
  CHECK(stats.size == sizeof stats && stats.viewers == 0 && stats.packets_out == 0);
}

static void texts(void)
{
  typedef corertc_status (*text_fn)(const corertc_subsystem *, char *, size_t, size_t *);
  static const text_fn all[] = {corertc_subsystem_ice_server_uris, corertc_subsystem_stats_json, corertc_subsystem_metrics};
  size_t i, wanted;
  char *text;
  for (i = 0; i < 3; i++) {
    CHECK_STATUS(all[i](NULL, buf, sizeof buf, &len), INVALID);
    CHECK_STATUS(all[i](s, buf, sizeof buf, NULL), INVALID);
    CHECK_STATUS(all[i](s, NULL, 1, &len), INVALID);
    CHECK_STATUS(all[i](s, buf, LONG, &len), INVALID);
    CHECK_STATUS(all[i](s, NULL, 0, &wanted), CORERTC_E_TOO_SMALL);
    text = malloc(wanted + 64);
    memset(text, '#', wanted + 64);
    CHECK_STATUS(all[i](s, text, wanted, &len), CORERTC_E_TOO_SMALL);
    CHECK(wanted == 0 || text[0] == '#');
    CHECK_STATUS(all[i](s, text, wanted + 64, &len), CORERTC_OK);
    CHECK(strlen(text) == len);
    free(text);
  }
}

static corertc_status handle(corertc_subsystem *subsystem, const char *method, size_t method_len, const char *target,
                             size_t target_len, const char *headers, size_t headers_len, const char *body,
                             size_t body_len, const char *remote, size_t remote_len, corertc_response **out)
{
  return corertc_http_handle(subsystem, method, method_len, target, target_len, headers, headers_len,
                             (const uint8_t *)body, body_len, remote, remote_len, 0, out, &err);
}

static void http(void)
{
  corertc_response *response = (corertc_response *)&len;
  uint16_t port;
  CHECK_STATUS(corertc_http_listen(NULL, TEXT("127.0.0.1:0"), &port, &err), INVALID);
  CHECK_STATUS(corertc_http_listen(s, NULL, 0, &port, &err), INVALID);
  named("addr");
  CHECK_STATUS(corertc_http_listen(s, TEXT("localhost:0"), &port, &err), INVALID);
  CHECK_STATUS(corertc_http_listen(s, BAD, NULL, &err), INVALID);
  CHECK_STATUS(corertc_http_listen(s, TEXT("127.0.0.1:0"), NULL, NULL), CORERTC_OK);
  CHECK_STATUS(corertc_http_unlisten(NULL), INVALID);
  CHECK_STATUS(corertc_http_unlisten(s), CORERTC_OK);
  CHECK_STATUS(handle(NULL, TEXT("GET"), TEXT("/"), NULL, 0, NULL, 0, NULL, 0, &response), INVALID);
  CHECK(response == NULL);
  CHECK_STATUS(handle(s, TEXT("GET"), TEXT("/"), NULL, 0, NULL, 0, NULL, 0, NULL), INVALID);
  named("out");
  CHECK_STATUS(handle(s, NULL, 0, TEXT("/"), NULL, 0, NULL, 0, NULL, 0, &response), INVALID);
  named("method");
  CHECK_STATUS(handle(s, BAD, TEXT("/"), NULL, 0, NULL, 0, NULL, 0, &response), INVALID);
  CHECK_STATUS(handle(s, TEXT("GET"), NULL, 0, NULL, 0, NULL, 0, NULL, 0, &response), INVALID);
  named("target");
  CHECK_STATUS(handle(s, TEXT("GET"), BAD, NULL, 0, NULL, 0, NULL, 0, &response), INVALID);
  CHECK_STATUS(handle(s, TEXT("GET"), TEXT("/"), TEXT("nonsense"), NULL, 0, NULL, 0, &response), INVALID);
  named("headers");
  CHECK_STATUS(handle(s, TEXT("GET"), TEXT("/"), BAD, NULL, 0, NULL, 0, &response), INVALID);
  CHECK_STATUS(handle(s, TEXT("GET"), TEXT("/"), NULL, 0, NULL, 1, NULL, 0, &response), INVALID);
  named("body");
  CHECK_STATUS(handle(s, TEXT("GET"), TEXT("/"), NULL, 0, "x", LONG, NULL, 0, &response), INVALID);
  CHECK_STATUS(handle(s, TEXT("GET"), TEXT("/"), NULL, 0, NULL, 0, BAD, &response), INVALID);
  named("remote_addr");
  CHECK_STATUS(handle(s, TEXT("GET"), TEXT("/whep/a"), TEXT("X-A: b\r\n"), NULL, 0, TEXT("127.0.0.1"), &response), CORERTC_OK);
  CHECK(corertc_response_status(response) == 404);
  CHECK(corertc_response_status(NULL) == 0);
  CHECK_STATUS(corertc_response_headers(NULL, buf, sizeof buf, &len), INVALID);
  CHECK_STATUS(corertc_response_headers(response, buf, sizeof buf, NULL), INVALID);
  CHECK_STATUS(corertc_response_headers(response, NULL, 1, &len), INVALID);
  CHECK_STATUS(corertc_response_headers(response, NULL, 0, &len), CORERTC_E_TOO_SMALL);
  CHECK_STATUS(corertc_response_body(NULL, (uint8_t *)buf, sizeof buf, &len), INVALID);
  CHECK_STATUS(corertc_response_body(response, (uint8_t *)buf, sizeof buf, NULL), INVALID);
  CHECK_STATUS(corertc_response_body(response, NULL, 1, &len), INVALID);
  CHECK_STATUS(corertc_response_body(response, NULL, 0, &len), CORERTC_E_TOO_SMALL);
  corertc_response_free(response);
  corertc_response_free(NULL);
}

static void callbacks(void)
{
  CHECK_STATUS(corertc_subsystem_set_teardown(NULL, NULL, NULL, NULL), INVALID);
  CHECK_STATUS(corertc_subsystem_set_whip_teardown(NULL, NULL, NULL, NULL), INVALID);
  CHECK_STATUS(corertc_subsystem_set_events(NULL, NULL, NULL, NULL), INVALID);
  CHECK_STATUS(corertc_subsystem_set_auth(NULL, NULL, NULL, NULL), INVALID);
  CHECK_STATUS(corertc_subsystem_set_teardown(s, NULL, NULL, NULL), CORERTC_OK);
  CHECK_STATUS(corertc_subsystem_set_whip_teardown(s, NULL, NULL, NULL), CORERTC_OK);
  CHECK_STATUS(corertc_subsystem_set_events(s, NULL, NULL, NULL), CORERTC_OK);
  CHECK_STATUS(corertc_subsystem_set_auth(s, NULL, NULL, NULL), CORERTC_OK);
  CHECK_STATUS(corertc_set_log(NULL, NULL, NULL, -7), CORERTC_OK);
}

int main(void)
{
  err.size = sizeof err;
  library();
  configs();
  s = check_subsystem(0);
  CHECK(corertc_subsystem_enabled(s) == 0 && corertc_subsystem_enabled(NULL) == 0);
  CHECK(corertc_subsystem_stream_count(s) == 0 && corertc_subsystem_stream_count(NULL) == 0);
  processes();
  stops();
  structs();
  texts();
  http();
  callbacks();
  CHECK_STATUS(corertc_subsystem_close(NULL, 0), INVALID);
  CHECK_STATUS(corertc_subsystem_close(s, 1000), CORERTC_OK);
  CHECK_STATUS(corertc_subsystem_close(s, 1000), CORERTC_OK);
  corertc_subsystem_free(s);
  corertc_subsystem_free(NULL);
  return check_failed;
}
