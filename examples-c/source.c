/* source.c - finds out what the input carries, so that FFmpeg is asked only for what is there. */
#define _GNU_SOURCE
#include "source.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_TIMEOUT_MS 10000

/* What ffprobe found; a codec name is empty where there is no such media. */
typedef struct probed {
  char video[32];
  char audio[32];
} probed;

int source_check(corertc_status status, const char *option) {
  if (status == CORERTC_OK) {
    return 0;
  }
  if (status == CORERTC_E_UNSUPPORTED) {
    fprintf(stderr, "host: %s: this build of corertc does not have it\n", option);
  } else {
    fprintf(stderr, "host: %s: %s\n", option, corertc_status_name(status));
  }
  return -1;
}

static int set_str(corertc_process_config *config, uint32_t option, const char *value, const char *name) {
  return source_check(corertc_process_config_set_str(config, option, value, strlen(value)), name);
}

static int set_u64(corertc_process_config *config, uint32_t option, uint64_t value, const char *name) {
  return source_check(corertc_process_config_set_u64(config, option, value), name);
}

static int is_file(const char *address) {
  struct stat about;
  return stat(address, &about) == 0 && S_ISREG(about.st_mode);
}

/* Runs ffprobe; its output goes into text. 0 on success. */
static int run_ffprobe(const char *address, char *text, size_t cap) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return -1;
  }
  pid_t pid = fork();
  if (pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(ends[1], STDOUT_FILENO);
    execlp("ffprobe", "ffprobe", "-v", "error", "-show_entries", "stream=codec_type,codec_name", "-of",
           "default=noprint_wrappers=1:nokey=1", address, (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  size_t len = 0;
  int status = -1;
  if (pid > 0) {
    struct pollfd readable = {ends[0], POLLIN, 0};
    while (len + 1 < cap && poll(&readable, 1, PROBE_TIMEOUT_MS) > 0) {
      ssize_t got = read(ends[0], text + len, cap - 1 - len);
      if (got <= 0) {
        break;
      }
      len += (size_t)got;
    }
    kill(pid, SIGKILL); /* harmless where it has ended: it is reaped below */
    waitpid(pid, &status, 0);
  }
  close(ends[0]);
  text[len] = '\0';
  return len > 0 ? 0 : -1;
}

/* ffprobe prints a codec and then its type, each on a line of its own. The first of each type counts. */
static int probe(const char *address, probed *found) {
  char text[4096];
  memset(found, 0, sizeof *found);
  if (run_ffprobe(address, text, sizeof text) != 0) {
    return -1;
  }
  char *rest = NULL;
  const char *codec = strtok_r(text, "\n", &rest);
  while (codec != NULL) {
    const char *type = strtok_r(NULL, "\n", &rest);
    if (type == NULL) {
      break;
    }
    if (strcmp(type, "video") == 0 && found->video[0] == '\0') {
      snprintf(found->video, sizeof found->video, "%s", codec);
    } else if (strcmp(type, "audio") == 0 && found->audio[0] == '\0') {
      snprintf(found->audio, sizeof found->audio, "%s", codec);
    }
    codec = strtok_r(NULL, "\n", &rest);
  }
  return 0;
}

/* testsrc2 has a clock and a frame counter of its own: no font is needed. */
static int test_picture(ffmpeg *process, corertc_process_config *config) {
  static char *const input[] = {
      "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30",
      "-re", "-f", "lavfi", "-i", "sine=frequency=440:beep_factor=4:sample_rate=48000",
  };
  for (size_t i = 0; i < sizeof input / sizeof input[0]; i++) {
    ffmpeg_add(process, input[i]);
  }
  return set_str(config, CORERTC_PROCESS_AUDIO_MAP, "1:a:0", "AUDIO_MAP");
}

/* A file can be asked what it carries; it is read at its own speed. */
static int file_input(const host_args *args, ffmpeg *process, corertc_process_config *config) {
  probed found;
  ffmpeg_add(process, "-re");
  ffmpeg_add(process, "-i");
  ffmpeg_add(process, (char *)args->input);
  if (probe(args->input, &found) != 0) {
    return set_u64(config, CORERTC_PROCESS_ISOLATE, 1, "ISOLATE");
  }
  if (found.video[0] == '\0' && (found.audio[0] == '\0' || !args->audio)) {
    fprintf(stderr, "host: %s has nothing to play\n", args->input);
    return -1;
  }
  if (found.video[0] == '\0' && set_u64(config, CORERTC_PROCESS_VIDEO, 0, "VIDEO") != 0) {
    return -1;
  }
  if (found.audio[0] == '\0' && set_u64(config, CORERTC_PROCESS_AUDIO, 0, "AUDIO") != 0) {
    return -1;
  }
  int copies = args->codec != NULL && strcmp(args->codec, "copy") == 0;
  if (copies && args->source_codec == NULL && found.video[0] != '\0') {
    const char *codec = strcmp(found.video, "hevc") == 0 ? "h265" : found.video;
    return set_str(config, CORERTC_PROCESS_SOURCE_CODEC, codec, "the file's codec");
  }
  return 0;
}

/* A live address is opened once, by FFmpeg alone; the isolated form survives whatever it lacks. */
static int other_input(const host_args *args, ffmpeg *process, corertc_process_config *config) {
  char *words = strdup(args->input); /* lives as long as the process */
  if (words == NULL) {
    return -1;
  }
  if (strpbrk(words, " \t\n") == NULL) {
    ffmpeg_add(process, "-i");
  }
  ffmpeg_add_words(process, words);
  return set_u64(config, CORERTC_PROCESS_ISOLATE, 1, "ISOLATE");
}

int source_prepare(const host_args *args, ffmpeg *process, corertc_process_config *config) {
  if (args->codec != NULL && set_str(config, CORERTC_PROCESS_VIDEO_CODEC, args->codec, "--codec") != 0) {
    return -1;
  }
  if (args->source_codec != NULL &&
      set_str(config, CORERTC_PROCESS_SOURCE_CODEC, args->source_codec, "--source-codec") != 0) {
    return -1;
  }
  if (args->gop_ms != 0 && set_u64(config, CORERTC_PROCESS_KEYFRAME_INTERVAL_MS, args->gop_ms, "--gop") != 0) {
    return -1;
  }
  if (!args->audio && set_u64(config, CORERTC_PROCESS_AUDIO, 0, "--no-audio") != 0) {
    return -1;
  }
  if (args->input == NULL || args->input[0] == '\0') {
    return test_picture(process, config);
  }
  if (is_file(args->input)) {
    return file_input(args, process, config);
  }
  return other_input(args, process, config);
}
