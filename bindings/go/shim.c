//go:build cgo && linux && !corertc_none

#include "shim.h"
#include "_cgo_export.h"

static void on_release(void *user_data) { corertcGoRelease((uintptr_t)user_data); }

static void on_teardown(void *user_data, const char *id, size_t id_len) {
  corertcGoTeardown((uintptr_t)user_data, 0, (char *)id, id_len);
}

static void on_whip_teardown(void *user_data, const char *id, size_t id_len) {
  corertcGoTeardown((uintptr_t)user_data, 1, (char *)id, id_len);
}

static void on_event(void *user_data, uint32_t event, const char *id, size_t id_len, const char *detail,
                     size_t detail_len) {
  corertcGoEvent((uintptr_t)user_data, event, (char *)id, id_len, (char *)detail, detail_len);
}

static int32_t on_auth(void *user_data, const corertc_auth_request *request) {
  return corertcGoAuth((uintptr_t)user_data, (corertc_auth_request *)request);
}

static void on_log(void *user_data, int32_t level, const char *component, size_t component_len, const char *message,
                   size_t message_len, const char *fields, size_t fields_len) {
  (void)user_data;
  corertcGoLog(level, (char *)component, component_len, (char *)message, message_len, (char *)fields, fields_len);
}

corertc_status corertc_go_take_teardown(corertc_subsystem *subsystem, uintptr_t handle) {
  return corertc_subsystem_set_teardown(subsystem, on_teardown, (void *)handle, on_release);
}

corertc_status corertc_go_take_whip_teardown(corertc_subsystem *subsystem, uintptr_t handle) {
  return corertc_subsystem_set_whip_teardown(subsystem, on_whip_teardown, (void *)handle, on_release);
}

corertc_status corertc_go_take_events(corertc_subsystem *subsystem, uintptr_t handle) {
  return corertc_subsystem_set_events(subsystem, on_event, (void *)handle, on_release);
}

corertc_status corertc_go_take_auth(corertc_subsystem *subsystem, uintptr_t handle) {
  return corertc_subsystem_set_auth(subsystem, on_auth, (void *)handle, on_release);
}

corertc_status corertc_go_set_log(int32_t max_level) {
  return corertc_set_log(max_level > 0 ? on_log : NULL, NULL, NULL, max_level);
}
