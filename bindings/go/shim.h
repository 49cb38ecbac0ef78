/* What Go cannot do itself: take C function pointers, and carry a number as user data. */
#ifndef CORERTC_GO_SHIM_H
#define CORERTC_GO_SHIM_H

#include <corertc.h>

/* Each registers one of Go's functions; handle comes back in every call and, once, in corertcGoRelease. */
corertc_status corertc_go_take_teardown(corertc_subsystem *subsystem, uintptr_t handle);
corertc_status corertc_go_take_whip_teardown(corertc_subsystem *subsystem, uintptr_t handle);
corertc_status corertc_go_take_events(corertc_subsystem *subsystem, uintptr_t handle);
corertc_status corertc_go_take_auth(corertc_subsystem *subsystem, uintptr_t handle);
/* Level 0 detaches. */
corertc_status corertc_go_set_log(int32_t max_level);

#endif
