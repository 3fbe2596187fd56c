// Package ktime reads the clock of BPF programs (bpf_ktime_get_ns): the machine's CLOCK_MONOTONIC, which no time namespace
// moves (time_namespaces(7)).
package ktime

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Now is what a program that runs now would read: nanoseconds since the machine started, less what it was suspended.
func Now() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // fails for unknown clocks alone
	return t.Nano() - int64(offset())
}

// offset is by how much this process' time namespace moves the clock; it is that of all its life. Kernels without time
// namespaces (before 5.6) have no such file, and no offset.
var offset = sync.OnceValue(func() time.Duration {
	text, err := os.ReadFile("/proc/self/timens_offsets")
	if err != nil {
		return 0
	}
	return offsetIn(string(text))
})

// offsetIn reads lines like "monotonic 864000 0": a clock, seconds, nanoseconds.
func offsetIn(text string) time.Duration {
	for line := range strings.Lines(text) {
		var clock string
		var seconds, nanoseconds int64
		if n, _ := fmt.Sscan(line, &clock, &seconds, &nanoseconds); n == 3 && clock == "monotonic" {
			return time.Duration(seconds)*time.Second + time.Duration(nanoseconds)
		}
	}
	return 0
}
