// The smallest C++ host: handles in unique_ptr, a callback, a start, a request.
#include <corertc.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace {

struct Free {
  void operator()(corertc_config *it) const { corertc_config_free(it); }
  void operator()(corertc_subsystem *it) const { corertc_subsystem_free(it); }
  void operator()(corertc_response *it) const { corertc_response_free(it); }
};

void ended(void *user_data, const char *id, size_t id_len) {
  static_cast<std::vector<std::string> *>(user_data)->emplace_back(id, id_len);
}

int fail(const char *what, corertc_status status, const corertc_error &error) {
  std::fprintf(stderr, "%s: %s %s\n", what, corertc_status_name(status), error.message);
  return 1;
}

}  // namespace

int main() {
  corertc_error error{};
  error.size = sizeof error;
  std::unique_ptr<corertc_config, Free> config(corertc_config_new());
  const std::string udp = "127.0.0.1:0";
  corertc_config_set_str(config.get(), CORERTC_OPT_UDP_LISTEN, udp.data(), udp.size());
  corertc_subsystem *made = nullptr;
  corertc_status status = corertc_subsystem_new(config.get(), &made, &error);
  if (status != CORERTC_OK) return fail("new", status, error);
  std::vector<std::string> gone;
  std::unique_ptr<corertc_subsystem, Free> subsystem(made);
  corertc_subsystem_set_teardown(subsystem.get(), ended, &gone, nullptr);

  const std::string id = "cam";
  corertc_leg legs[CORERTC_LEGS_MAX] = {};
  legs[0].size = sizeof legs[0];
  std::vector<char> argv(CORERTC_ARGV_MAX);
  size_t legs_len = 0, argv_len = 0;
  status = corertc_process_start(subsystem.get(), id.data(), id.size(), nullptr, legs, CORERTC_LEGS_MAX, &legs_len,
                                 argv.data(), argv.size(), &argv_len, &error);
  if (status != CORERTC_OK || legs_len != 2) return fail("start", status, error);

  const std::string method = "GET", target = "/healthz";
  corertc_response *answered = nullptr;
  status = corertc_http_handle(subsystem.get(), method.data(), method.size(), target.data(), target.size(), nullptr, 0,
                               nullptr, 0, nullptr, 0, 0, &answered, &error);
  std::unique_ptr<corertc_response, Free> response(answered);
  if (status != CORERTC_OK || corertc_response_status(answered) != 200) return fail("handle", status, error);

  corertc_process_stop(subsystem.get(), id.data(), id.size());
  if (gone != std::vector<std::string>{id}) return fail("teardown", status, error);
  status = corertc_subsystem_close(subsystem.get(), 5000);
  if (status != CORERTC_OK) return fail("close", status, error);
  std::puts("ok");
  return 0;
}
