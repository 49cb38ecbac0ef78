/* What the library leaves alone in its host's process: signals, descriptors, threads; and that a broken connection never
 * kills it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static void dispositions(struct sigaction *all)
{
  int signal;
  memset(all, 0, 65 * sizeof *all);
  for (signal = 1; signal < 65; signal++)
    sigaction(signal, NULL, &all[signal]);
}

static char inherited[1024]; /* what the program was started with */

/* Open descriptors; the library's must all be close-on-exec. */
static int descriptors(void)
{
  int fd, flags, count = 0;
  for (fd = 0; fd < 1024; fd++) {
    flags = fcntl(fd, F_GETFD);
    if (flags < 0)
      continue;
    count++;
    CHECK(inherited[fd] || (flags & FD_CLOEXEC));
  }
  return count;
}

static int passing; /* threads of the last look that had all signals blocked: the C library does so while one starts or ends */

/* Threads named corertc-...; with check: each blocks SIGPIPE, SIGINT and SIGTERM, and not SIGSEGV, SIGPROF, SIGURG. */
static int threads(int check)
{
  char path[512], line[256];
  unsigned long long mask;
  int count = 0, ours;
  struct dirent *entry;
  DIR *tasks = opendir("/proc/self/task");
  passing = 0;
  while ((entry = readdir(tasks)) != NULL) {
    FILE *status;
    if (entry->d_name[0] == '.')
      continue;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
    status = fopen(path, "re");
    ours = 0;
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
      if (strncmp(line, "Name:\tcorertc-", 14) == 0)
        ours = 1;
      if (check && ours && sscanf(line, "SigBlk: %llx", &mask) == 1) {
#define BIT(signal) (1ull << ((signal) - 1))
        CHECK((mask & (BIT(SIGPIPE) | BIT(SIGINT) | BIT(SIGTERM))) == (BIT(SIGPIPE) | BIT(SIGINT) | BIT(SIGTERM)));
        passing += (mask & (BIT(SIGSEGV) | BIT(SIGPROF) | BIT(SIGURG))) != 0;
      }
    }
    if (status != NULL)
      fclose(status);
    count += ours;
  }
  closedir(tasks);
  return count;
}

/* Asks and leaves with a reset before the answer can be written. */
static void broken_request(uint16_t port)
{
  static const char request[] = "GET /play/x HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
  struct sockaddr_in to;
  struct linger reset = {1, 0};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  memset(&to, 0, sizeof to);
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  CHECK(send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0);
  close(fd);
}

static void one_round(int round)
{
  corertc_leg legs[CORERTC_LEGS_MAX];
  static char argv[CORERTC_ARGV_MAX];
  size_t legs_len, argv_len;
  uint16_t port = 0;
  corertc_subsystem *s = check_subsystem(1);
  legs[0].size = sizeof legs[0];
  CHECK_STATUS(corertc_process_start(s, TEXT("a"), NULL, legs, CORERTC_LEGS_MAX, &legs_len, argv, sizeof argv, &argv_len, NULL),
               CORERTC_OK);
  CHECK_STATUS(corertc_http_listen(s, TEXT("127.0.0.1:0"), &port, NULL), CORERTC_OK);
  CHECK(port != 0);
  if (round == 0) {
    int i;
    descriptors();
    for (i = 0; i < 50; i++)
      broken_request(port);
    for (i = 0; i < 500 && threads(0) == 0; i++)
      usleep(10000); /* a thread names itself when it first runs */
    for (i = 0; i < 500 && (threads(1) == 0 || passing > 0); i++)
      usleep(10000);
    CHECK(threads(1) > 0);
    CHECK(i < 500);
  }
  CHECK_STATUS(corertc_subsystem_close(s, 5000), CORERTC_OK);
  CHECK_STATUS(corertc_http_listen(s, TEXT("127.0.0.1:0"), &port, NULL), CORERTC_E_STATE);
  corertc_subsystem_free(s);
}

int main(void)
{
  static struct sigaction before[65], after[65];
  static sigset_t mask_before, mask_after; /* zero: the C library fills less than all of one */
  int round, fds, left, fd;
  for (fd = 0; fd < 1024; fd++)
    inherited[fd] = fcntl(fd, F_GETFD) >= 0;
  dispositions(before);
  pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
  one_round(0);
  fds = descriptors();
  for (round = 1; round <= 100; round++)
    one_round(round);
  for (round = 0; round < 500 && descriptors() != fds; round++)
    usleep(10000); /* the runtime's own, of a thread that is still on its way out */
  CHECK(descriptors() == fds);
  for (round = 0; round < 500 && (left = threads(0)) > 0; round++)
    usleep(10000); /* a thread that was let go is still on its way out */
  CHECK(left == 0);
  dispositions(after);
  pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
  for (fd = 1; fd < 65; fd++) {
    if (before[fd].sa_handler != after[fd].sa_handler || before[fd].sa_flags != after[fd].sa_flags) {
      printf("the disposition of signal %d has changed\n", fd);
      check_failed = 1;
    }
  }
  CHECK(memcmp(&mask_before, &mask_after, sizeof mask_before) == 0);
  return check_failed;
}
