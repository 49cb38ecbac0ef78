// Package tests holds what package corertc promises against real FFmpeg and Pion, which is another WebRTC stack.
package tests
