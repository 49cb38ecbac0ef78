/* ffmpeg.h - one FFmpeg process: its arguments, its life and its end. */
#ifndef HOST_FFMPEG_H
#define HOST_FFMPEG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FFMPEG_ARGS_MAX 512

typedef struct ffmpeg {
  const char *name;                     /* for messages */
  char       *argv[FFMPEG_ARGS_MAX + 1];/* NULL-terminated; the strings are the caller's and outlive this */
  size_t      argc;
  pid_t       pid;                      /* 0 while it doesn't run */
  uint64_t    started_ms;               /* monotonic */
  uint64_t    restart_ms;               /* when to start it again; 0 while it runs */
  uint64_t    back_off_ms;
} ffmpeg;

/* Empties it and puts the options in front that every run has. */
void ffmpeg_init(ffmpeg *process, const char *name);

/* Adds one argument; too many are an error that ffmpeg_start reports. */
void ffmpeg_add(ffmpeg *process, char *argument);

/* Adds the words of a text that is cut at its blanks in place. */
void ffmpeg_add_words(ffmpeg *process, char *text);

/* Starts it; a failure counts as a death and is tried again after the back-off. */
void ffmpeg_start(ffmpeg *process);

/* Reaps it if it ended and plans its restart. Call it after SIGCHLD. */
void ffmpeg_reap(ffmpeg *process);

/* Starts it again if its time has come; the milliseconds until then, or -1 where nothing is planned. */
int ffmpeg_restart_if_due(ffmpeg *process);

/* Waits until it has ended by itself, at most timeout_ms; it isn't started again. */
void ffmpeg_join(ffmpeg *process, int timeout_ms);

/* Ends it: SIGTERM, and SIGKILL where that didn't help within timeout_ms. Returns when it is gone. */
void ffmpeg_stop(ffmpeg *process, int timeout_ms);

#endif
