package link

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"weftnet.io/weftnet/internal/rtnetlink"
	"weftnet.io/weftnet/internal/sink/link/record"
)

// Sysctl is a kernel setting that Weftnet needs, below /proc/sys/net.
type Sysctl struct {
	Scope  string // node, host (host's side of a link), workload (its other side), tunnel
	Path   string // DEVICE stands for the device
	Value  string
	Reason string
}

// Scopes of a Sysctl.
const (
	scopeNode     = "node"
	scopeHost     = "host"
	scopeWorkload = "workload"
	scopeTunnel   = "tunnel"
)

// Sysctls are all kernel settings that Weftnet changes on a node.
func Sysctls() []Sysctl {
	return []Sysctl{
		{scopeNode, "ipv4/ip_forward", "1", "the stack forwards what the programs leave to it: native routing, traffic to and from the node's services"},
		{scopeNode, "ipv6/conf/all/forwarding", "1", "the same for IPv6; the kernel forwards nothing unless this is on"},
		{scopeNode, "ipv6/conf/default/forwarding", "1", "devices that come later forward, too"},

		{scopeHost, "ipv4/conf/DEVICE/forwarding", "1", "what comes from the workload is forwarded even where the node's default for new devices is off"},
		{scopeHost, "ipv4/conf/DEVICE/rp_filter", "0", "from_pod has checked the source already and counts what it drops; the kernel's check costs a route lookup per packet and drops silently. " +
			"Where conf/all sets it none the less, the /32 route to the workload satisfies it"},
		{scopeHost, "ipv4/conf/DEVICE/proxy_arp", "0", "the programs answer ARP; the kernel would answer for every address it has a route to"},
		{scopeHost, "ipv4/conf/DEVICE/send_redirects", "0", "a workload that reaches itself through a service goes out where it came in; there is no shorter way to tell it of"},
		{scopeHost, "ipv6/conf/DEVICE/disable_ipv6", "0", "IPv6 is wanted here even where it is off for new devices"},
		{scopeHost, "ipv6/conf/DEVICE/addr_gen_mode", "1", "no link-local address: nothing speaks to it, and duplicate address detection would bother the workload"},
		{scopeHost, "ipv6/conf/DEVICE/accept_ra", "0", "a workload must not become the node's router by advertising itself"},
		{scopeHost, "ipv6/conf/DEVICE/forwarding", "1", "what comes from the workload is forwarded as it is for IPv4"},
		{scopeHost, "ipv6/conf/DEVICE/proxy_ndp", "0", "the programs answer neighbour solicitations"},

		{scopeWorkload, "ipv6/conf/DEVICE/disable_ipv6", "0", "runtimes may switch IPv6 off in new namespaces"},
		{scopeWorkload, "ipv6/conf/DEVICE/dad_transmits", "0", "addresses are unique already; duplicate address detection would hold up the first packets for a second"},
		{scopeWorkload, "ipv6/conf/DEVICE/accept_ra", "0", "no router is on this link: an advertisement is forged"},

		{scopeTunnel, "ipv4/conf/DEVICE/forwarding", "1", "what arrives for workloads and has to pass netfilter is forwarded"},
		{scopeTunnel, "ipv4/conf/DEVICE/rp_filter", "2", "packets from other nodes' own addresses arrive here and are answered elsewhere. " +
			"The larger of this and conf/all counts: 2 (loose) wins over 1 (strict), 0 would not"},
		{scopeTunnel, "ipv6/conf/DEVICE/disable_ipv6", "0", "IPv6 is wanted here even where it is off for new devices"},
		{scopeTunnel, "ipv6/conf/DEVICE/addr_gen_mode", "1", "no link-local address: nothing speaks to it"},
		{scopeTunnel, "ipv6/conf/DEVICE/accept_ra", "0", "other nodes' workloads must not become this node's router"},
		{scopeTunnel, "ipv6/conf/DEVICE/forwarding", "1", "what arrives for workloads and has to pass netfilter is forwarded"},
	}
}

// of are the settings of a scope for a device.
func of(scope, device string) (list []setting) {
	for _, s := range Sysctls() {
		if s.Scope == scope {
			by := setting{s, attributes[s.Path], -1}
			if number, told := numbers[s.Path]; told {
				by.number = number
			}
			by.Path = strings.ReplaceAll(s.Path, "DEVICE", device)
			list = append(list, by)
		}
	}
	return list
}

// apply writes the settings of a scope that are files, for a device, below proc (/proc, or where the host's is seen). Those of a
// family that the kernel does not have are left out. What is right already is not written: it may be read-only. have is what the
// kernel has told of them, as far as it has.
func apply(proc, scope, device string, have rtnetlink.Settings) error {
	var errs []error
	for _, s := range of(scope, device) {
		told := s.number >= 0 && s.number < len(have)
		if s.attribute != (attribute{}) || told && fmt.Sprint(have[s.number]) == s.Value {
			continue
		}
		change := WriteSysctl
		if told {
			change = overwrite
		}
		if err := change(proc, s.Path, s.Value); err != nil {
			errs = append(errs, fmt.Errorf("set %s to %s (%s): %w", s.Path, s.Value, s.Reason, err))
		}
	}
	return errors.Join(errs...)
}

// applied tells whether the settings of a scope are what they should be for a device. What cannot be read is not looked at.
func applied(proc, scope, device string) bool {
	for _, s := range of(scope, device) {
		have, err := os.ReadFile(filepath.Join(proc, "sys/net", s.Path))
		if err == nil && strings.TrimSpace(string(have)) != s.Value {
			return false
		}
	}
	return true
}

// WriteSysctl gives a setting of the node's network namespace, below sys/net of proc, a value, unless it has it.
func WriteSysctl(proc, path, value string) error {
	have, err := os.ReadFile(filepath.Join(proc, "sys/net", path))
	if errors.Is(err, fs.ErrNotExist) {
		family, _, _ := strings.Cut(path, "/")
		if _, err := os.Stat(filepath.Join(proc, "sys/net", family)); errors.Is(err, fs.ErrNotExist) {
			return nil // a kernel without it, as with ipv6.disable=1
		}
	}
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(have)) == value {
		return nil
	}
	return overwrite(proc, path, value)
}

// overwrite writes a setting that is known to be another.
func overwrite(proc, path, value string) error {
	return os.WriteFile(filepath.Join(proc, "sys/net", path), []byte(value), 0o644)
}

// PrepareNode writes the node-wide settings, below proc (empty: /proc), after it has written down what they were before, in
// the file that record.Restore reads (empty: nowhere). A node that has its own IPv6 routes from router advertisements
// keeps them: the kernel ignores advertisements on a node that forwards unless told not to (accept_ra 2).
func PrepareNode(proc, before string) error {
	proc = cmp.Or(proc, "/proc")
	if err := record.Remember(proc, before); err != nil {
		return fmt.Errorf("write down the node's settings: %w", err)
	}
	if forwards, err := os.ReadFile(filepath.Join(proc, "sys/net/ipv6/conf/all/forwarding")); err == nil && strings.TrimSpace(string(forwards)) == "0" {
		files, _ := filepath.Glob(filepath.Join(proc, "sys/net/ipv6/conf/*/accept_ra")) // the pattern is fine
		for _, f := range files {
			if have, err := os.ReadFile(f); err == nil && strings.TrimSpace(string(have)) == "1" {
				if err := os.WriteFile(f, []byte("2"), 0o644); err != nil {
					return fmt.Errorf("keep router advertisements: %w", err)
				}
			}
		}
	}
	return apply(proc, scopeNode, "", nil)
}
