package link

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// setting is a kernel parameter this project sets. %s in a path is the device.
type setting struct {
	path   string
	value  string
	reason string
}

// Of the node. Both are global because the kernel looks at nothing narrower.
var nodeSettings = []setting{
	{"net/ipv4/ip_forward", "1", "the stack forwards between workloads and services of kube-proxy"},
	{"net/ipv6/conf/all/forwarding", "1", "ip6_forward() of kernels before 6.17 asks this one alone"},
}

// Of the host's side of a workload's NIC, and of the overlay device.
var deviceSettings = []setting{
	{"net/ipv4/conf/%s/forwarding", "1", "bpf_fib_lookup refuses a device that does not forward"},
	{"net/ipv4/conf/%s/rp_filter", "0", "replies may come in past the stack and go out by it; from_pod checks sources"},
	{"net/ipv6/conf/%s/forwarding", "1", "as for IPv4"},
	{"net/ipv6/conf/%s/accept_ra", "0", "a workload is no router of its node"},
}

// Prepare sets what a node needs before anything is forwarded. procSys is where the host's /proc/sys is seen.
func Prepare(procSys string) error {
	var errs []error
	for _, s := range nodeSettings {
		errs = append(errs, s.apply(procSys, ""))
	}
	return errors.Join(errs...)
}

func (s setting) apply(procSys, device string) error {
	path := s.path
	if device != "" {
		path = fmt.Sprintf(s.path, device)
	}
	file := filepath.Join(procSys, path)
	if have, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(have)) == s.value {
		return nil
	}
	err := os.WriteFile(file, []byte(s.value), 0)
	if errors.Is(err, os.ErrNotExist) && strings.HasPrefix(s.path, "net/ipv6") {
		return nil // this kernel runs without IPv6
	}
	if err != nil {
		return fmt.Errorf("set %s to %s (%s): %w", strings.ReplaceAll(path, "/", "."), s.value, s.reason, err)
	}
	return nil
}

func applyDevice(procSys, device string) error {
	var errs []error
	for _, s := range deviceSettings {
		errs = append(errs, s.apply(procSys, device))
	}
	return errors.Join(errs...)
}
