//! Reads a leg's sockets in batches and feeds the stream.
