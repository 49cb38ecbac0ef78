/* A host that links the static library. */
#include "check.h"

int main(void)
{
  corertc_subsystem *s = check_subsystem(0);
  CHECK(strcmp(corertc_version(), "0.1.0") == 0);
  corertc_subsystem_free(s);
  return check_failed;
}
