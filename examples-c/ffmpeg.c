/* ffmpeg.c - runs FFmpeg with fork and exec, starts it again when it dies, ends it. */
#define _GNU_SOURCE
#include "ffmpeg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A new RTP source is taken only once the old one was silent for 200 ms: no restart before that. */
#define BACK_OFF_MIN_MS 250u
#define BACK_OFF_MAX_MS 8000u
/* Who lived so long starts again at the shortest back-off. */
#define HEALTHY_MS 5000u

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

void ffmpeg_init(ffmpeg *process, const char *name) {
  static char *const common[] = {"ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"};
  memset(process, 0, sizeof *process);
  process->name = name;
  process->back_off_ms = BACK_OFF_MIN_MS;
  for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
    ffmpeg_add(process, common[i]);
  }
}

void ffmpeg_add(ffmpeg *process, char *argument) {
  if (process->argc < FFMPEG_ARGS_MAX) {
    process->argv[process->argc] = argument;
  }
  process->argc++;
}

void ffmpeg_add_words(ffmpeg *process, char *text) {
  char *rest = NULL;
  for (char *word = strtok_r(text, " \t\n", &rest); word != NULL; word = strtok_r(NULL, " \t\n", &rest)) {
    ffmpeg_add(process, word);
  }
}

static void plan_restart(ffmpeg *process, int ended_well) {
  uint64_t now = now_ms();
  if (ended_well || now - process->started_ms >= HEALTHY_MS) {
    process->back_off_ms = BACK_OFF_MIN_MS;
  }
  process->pid = 0;
  process->restart_ms = now + process->back_off_ms;
  process->back_off_ms *= 2;
  if (process->back_off_ms > BACK_OFF_MAX_MS) {
    process->back_off_ms = BACK_OFF_MAX_MS;
  }
}

/* In the child, between fork and exec: only async-signal-safe calls, for the host has other threads. */
static void become_ffmpeg(ffmpeg *process, pid_t host) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  /* An FFmpeg that outlives a killed host would go on writing to ports that others are given. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != host) {
    _exit(126);
  }
  int null = open("/dev/null", O_RDWR);
  if (null >= 0) {
    dup2(null, STDIN_FILENO);
    /* stdout is the host's: its lines are read by scripts. */
    dup2(null, STDOUT_FILENO);
    if (null > STDERR_FILENO) {
      close(null);
    }
  }
  execvp(process->argv[0], process->argv);
  static const char sorry[] = "host: cannot run ffmpeg: is it installed?\n";
  if (write(STDERR_FILENO, sorry, sizeof sorry - 1) < 0) {
    _exit(127);
  }
  _exit(127);
}

void ffmpeg_start(ffmpeg *process) {
  process->started_ms = now_ms();
  process->restart_ms = 0;
  if (process->argc > FFMPEG_ARGS_MAX) {
    fprintf(stderr, "host: %s: more than %d arguments\n", process->name, FFMPEG_ARGS_MAX);
    plan_restart(process, 0);
    return;
  }
  process->argv[process->argc] = NULL;
  pid_t host = getpid();
  pid_t pid = fork();
  if (pid == 0) {
    become_ffmpeg(process, host);
  }
  if (pid < 0) {
    fprintf(stderr, "host: %s: fork: %s\n", process->name, strerror(errno));
    plan_restart(process, 0);
    return;
  }
  process->pid = pid;
}

/* Whether it has ended; its status then stands in *status. */
static int ended(ffmpeg *process, int *status) {
  pid_t pid;
  do {
    pid = waitpid(process->pid, status, WNOHANG);
  } while (pid < 0 && errno == EINTR);
  return pid != 0;
}

void ffmpeg_reap(ffmpeg *process) {
  int status = 0;
  if (process->pid == 0 || !ended(process, &status)) {
    return;
  }
  int ended_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  plan_restart(process, ended_well);
  unsigned wait_ms = (unsigned)(process->restart_ms - now_ms());
  if (WIFSIGNALED(status)) {
    fprintf(stderr, "host: %s: killed by signal %d, again in %u ms\n", process->name, WTERMSIG(status), wait_ms);
  } else {
    fprintf(stderr, "host: %s: ended with status %d, again in %u ms\n", process->name, WEXITSTATUS(status), wait_ms);
  }
}

int ffmpeg_restart_if_due(ffmpeg *process) {
  if (process->restart_ms == 0) {
    return -1;
  }
  uint64_t now = now_ms();
  if (now < process->restart_ms) {
    return (int)(process->restart_ms - now);
  }
  ffmpeg_start(process);
  return process->restart_ms == 0 ? -1 : (int)process->back_off_ms;
}

void ffmpeg_join(ffmpeg *process, int timeout_ms) {
  process->restart_ms = 0;
  if (process->pid == 0) {
    return;
  }
  int status = 0;
  uint64_t deadline = now_ms() + (uint64_t)timeout_ms;
  while (!ended(process, &status)) {
    if (now_ms() >= deadline) {
      return;
    }
    struct timespec pause = {0, 5 * 1000 * 1000};
    nanosleep(&pause, NULL);
  }
  process->pid = 0;
}

void ffmpeg_stop(ffmpeg *process, int timeout_ms) {
  if (process->pid != 0) {
    kill(process->pid, SIGTERM);
  }
  ffmpeg_join(process, timeout_ms);
  if (process->pid != 0) {
    int status = 0;
    kill(process->pid, SIGKILL);
    waitpid(process->pid, &status, 0);
    process->pid = 0;
  }
}
