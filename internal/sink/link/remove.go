package link

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/attach"
)

// Ours lists the devices of this network namespace that Weftnet has made: the host sides of workloads, and the tunnel.
func Ours() (workloads, tunnels []string, err error) {
	devices, err := whole(netlink.LinkList)
	if err != nil {
		return nil, nil, fmt.Errorf("list devices: %w", err)
	}
	for _, d := range devices {
		a := d.Attrs()
		if _, mine := ours(d); mine {
			workloads = append(workloads, a.Name)
		} else if a.Alias == tunnelAlias || a.Name == attach.TunnelDevice && d.Type() == "vxlan" {
			tunnels = append(tunnels, a.Name)
		}
	}
	return workloads, tunnels, nil
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
