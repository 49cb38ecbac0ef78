//go:build !race

package tests

// raceEnabled: the host is built as its tests are.
const raceEnabled = false
