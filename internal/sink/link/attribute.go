package link

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/rtnetlink"
)

// attribute is where a message about a device carries a setting (IFLA_AF_SPEC of rtnetlink(7)).
type attribute struct {
	family int // unix.AF_INET: number is in enum IPV4_DEVCONF_ of linux/ip.h; unix.AF_INET6: in enum IFLA_INET6_ of linux/if_link.h
	number int
}

// setting is a Sysctl of one device.
type setting struct {
	Sysctl

	attribute attribute // zero: it is a file alone
	number    int       // of numbers; -1: none
}

// numbers are where the kernel tells of settings that are files, in what it says of a device (DEVCONF_ of linux/ipv6.h), by path. To find a
// file takes it the longer the more network namespaces there are, since each has one of that name (proc_sys_compare): what is right already is
// not looked for.
var numbers = map[string]int{
	"ipv6/conf/DEVICE/forwarding":    0,
	"ipv6/conf/DEVICE/accept_ra":     3,
	"ipv6/conf/DEVICE/dad_transmits": 6,
	"ipv6/conf/DEVICE/proxy_ndp":     22,
	"ipv6/conf/DEVICE/disable_ipv6":  26,
}

// attributes are the settings that have one, by path. Their files cost three system calls each, and some of them, even when they are
// only read, make a caller spin while others change links (restart_syscall in addrconf_sysctl_addr_gen_mode).
var attributes = map[string]attribute{
	"ipv4/conf/DEVICE/forwarding":     {unix.AF_INET, 1},
	"ipv4/conf/DEVICE/proxy_arp":      {unix.AF_INET, 3},
	"ipv4/conf/DEVICE/send_redirects": {unix.AF_INET, 6},
	"ipv4/conf/DEVICE/rp_filter":      {unix.AF_INET, 8},
	"ipv6/conf/DEVICE/addr_gen_mode":  {unix.AF_INET6, unix.IFLA_INET6_ADDR_GEN_MODE},
}

// configure writes the settings of a scope for a device of this network namespace: one message, and the rest as files.
func configure(s *rtnetlink.Socket, proc, scope string, index int, name string) error {
	settings := of(scope, name)
	err := send(s, settings, index, unix.AF_INET, unix.AF_INET6)
	if errors.Is(err, unix.EAFNOSUPPORT) { // a kernel without IPv6, or a device whose MTU is too small for it
		err = send(s, settings, index, unix.AF_INET)
	}
	if err != nil {
		return fmt.Errorf("configure %s: %w", name, err)
	}
	have, err := s.SettingsAt(index)
	if err != nil {
		return fmt.Errorf("read settings of %s: %w", name, err)
	}
	return apply(proc, scope, name, have)
}

// send writes the settings of these families that have an attribute.
func send(s *rtnetlink.Socket, settings []setting, index int, families ...int) error {
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC|unix.NLA_F_NESTED, nil)
	for _, family := range families {
		in := spec.AddRtAttr(family|unix.NLA_F_NESTED, nil)
		if family == unix.AF_INET {
			in = in.AddRtAttr(unix.IFLA_INET_CONF|unix.NLA_F_NESTED, nil)
		}
		for _, x := range settings {
			if x.attribute.family != family {
				continue
			}
			value, err := strconv.ParseUint(x.Value, 10, 8)
			if err != nil {
				return err
			}
			if family == unix.AF_INET {
				in.AddRtAttr(x.attribute.number, nl.Uint32Attr(uint32(value)))
			} else {
				in.AddRtAttr(x.attribute.number, nl.Uint8Attr(uint8(value)))
			}
		}
	}
	return s.Do(rtnetlink.ChangeOf(index, 0, spec))[0]
}
