/* source.h - what FFmpeg reads: the test picture, a file, an address, or the user's own FFmpeg arguments. */
#ifndef HOST_SOURCE_H
#define HOST_SOURCE_H

#include <corertc.h>

#include "args.h"
#include "ffmpeg.h"

/* Adds the input's arguments to the FFmpeg command and says in the process configuration what the input carries.
 * 0 on success; otherwise it said on stderr why not. */
int source_prepare(const host_args *args, ffmpeg *process, corertc_process_config *config);

/* A setter's status, checked: 0, or a message that names the option. */
int source_check(corertc_status status, const char *option);

#endif
