package link

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/rtnetlink"
	"weftnet.io/weftnet/internal/sink/link/overlay"
)

// Ours lists the devices of this network namespace that Weftnet has made: the host sides of workloads, and others: tunnels,
// VLAN devices.
func Ours() (workloads, others []string, err error) {
	s, err := rtnetlink.Open()
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	devices, err := whole(s.Devices)
	if err != nil {
		return nil, nil, fmt.Errorf("list devices: %w", err)
	}
	for _, d := range devices {
		if _, mine := ours(d); mine {
			workloads = append(workloads, d.Name)
		} else if strings.HasPrefix(d.Alias, aliasPrefix) || overlay.IsName(d.Name, d.Kind) {
			others = append(others, d.Name)
		}
	}
	return workloads, others, nil
}

// Delete deletes devices that Ours has listed; the kernel takes their other sides, routes and neighbours along.
func Delete(names []string) error {
	var errs []error
	for _, name := range names {
		d, err := netlink.LinkByName(name)
		if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
			continue
		}
		if err == nil {
			err = netlink.LinkDel(d)
		}
		if err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("delete device %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
