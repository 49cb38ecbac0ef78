//! Loopback port pairs: allocation, in a range or from the OS.
