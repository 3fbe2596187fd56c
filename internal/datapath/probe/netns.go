package probe

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// NetnsCookie is the number of the network namespace that the caller is in, by which programs know it (SO_NETNS_COOKIE, Linux 5.14).
func NetnsCookie() (uint64, error) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("ask for this network namespace's number: %w", err)
	}
	defer unix.Close(s)
	cookie, err := unix.GetsockoptUint64(s, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("ask for this network namespace's number: %w", err)
	}
	return cookie, nil
}
