package delegate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/sink/link/inside"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/vlan"
)

// ensure makes a NIC.
func (d *Delegates) ensure(ctx context.Context, want network.Interface) error {
	r, there := d.find(want)
	if there && !r.Pending && want.Same(r.Made.Want) {
		return nil
	}
	if there { // another one under its name, or half of it
		if err := d.take(ctx, r); err != nil {
			return err
		}
	}
	own, err := d.ours()
	if err != nil {
		return err
	}
	if want.Own {
		if err := own.Attach(ctx, want); err != nil {
			return err
		}
		d.added(want, want.Addresses)
		return nil
	}
	for a := range own.Attached() {
		if a.ContainerID == want.ContainerID && a.Interface == want.Interface {
			if err := own.Detach(ctx, a.ContainerID, a.Interface); err != nil {
				return err
			}
		}
	}
	return d.make(ctx, want)
}

func (d *Delegates) added(i network.Interface, addresses []netip.Prefix) {
	if d.Added != nil {
		d.Added(i, addresses)
	}
}

// make has plugins make a NIC.
func (d *Delegates) make(ctx context.Context, want network.Interface) error {
	d.calls.RLock()
	defer d.calls.RUnlock()
	list, err := d.list(want)
	if err != nil {
		return err
	}
	if err := d.lacks(list); err != nil {
		return err
	}
	if err := d.lies(ctx, want); err != nil {
		return err
	}
	free := d.ask(ctx, want)
	r := record{Version: 1, Pending: true, Made: network.Made{Want: want}}
	if err := errors.Join(d.put(r), <-free); err != nil {
		return errors.Join(err, d.drop(r)) // no plugin knows of it
	}
	made, err := d.add(ctx, list, want)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", want.Type, err), d.take(ctx, r))
	}
	if err := d.put(record{Version: 1, Made: made}); err != nil {
		return errors.Join(err, d.take(ctx, r))
	}
	if want.DHCP == "" {
		d.added(want, made.Addresses)
	}
	return nil
}

// Addressed notes the addresses that a NIC which is there has got, or has no more.
func (d *Delegates) Addressed(container, device string, addresses []netip.Prefix, gateways []netip.Addr, dns network.DNS) error {
	d.mu.Lock()
	r, ok := d.have[table.AttachmentKey(container, device)]
	d.mu.Unlock()
	if !ok || r.Pending || r.Made.Want.DHCP == "" {
		return nil
	}
	r.Made.Addresses, r.Made.Gateways, r.Made.DNS = addresses, gateways, dns
	return d.put(r)
}

func (d *Delegates) add(ctx context.Context, list *libcni.NetworkConfigList, want network.Interface) (made network.Made, err error) {
	answer, err := d.plugins.AddNetworkList(ctx, list, d.runtime(want))
	if err != nil {
		return made, err
	}
	result, err := types100.NewResultFromResult(answer)
	if err != nil {
		return made, fmt.Errorf("read what the plugin says: %w", err)
	}
	made = read(want, result)
	if result.DNS.IsEmpty() { // most plugins keep to themselves what ipam says of it
		var conf struct{ IPAM struct{ DNS network.DNS } }
		if json.Unmarshal(list.Plugins[0].Bytes, &conf) == nil {
			made.DNS = conf.IPAM.DNS
		}
	}
	err = inside.Do(d.Root+want.Netns, func(h *netlink.Handle) error {
		index, mac, mtu, err := inside.Describe(h, want.Interface)
		if err != nil {
			return nil //nolint:nilerr // it is no device of the kernel's, or the plugin has given it another name
		}
		if made.Index, made.MAC, made.MTU = index, mac, mtu; want.MAC != "" && want.MAC != mac {
			return fmt.Errorf("it has the MAC %s, and not %s, which the pod asks for: NICs of this type take none", mac, want.MAC)
		}
		d.announce(made)
		if want.DHCP != "" {
			return nil // its routes come with its addresses
		}
		for _, gateway := range want.Gateways {
			if err := inside.Lead(h, want.Interface, gateway); err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

// read is what a plugin's answer says of a NIC.
func read(want network.Interface, result *types100.Result) network.Made {
	made := network.Made{Want: want, DNS: network.DNS{
		Servers: result.DNS.Nameservers, Domain: result.DNS.Domain, Search: result.DNS.Search, Options: result.DNS.Options,
	}}
	at := -1
	for i, x := range result.Interfaces {
		switch {
		case x.Sandbox == "":
			made.HostName = x.Name
		case x.Name == want.Interface || at < 0:
			at, made.MAC, made.MTU = i, x.Mac, x.Mtu
		}
	}
	for _, ip := range result.IPs {
		a, ok := netip.AddrFromSlice(ip.Address.IP)
		bits, _ := ip.Address.Mask.Size()
		if !ok || ip.Interface != nil && at >= 0 && *ip.Interface != at {
			continue
		}
		made.Addresses = append(made.Addresses, netip.PrefixFrom(a.Unmap(), bits))
		if g, ok := netip.AddrFromSlice(ip.Gateway); ok {
			made.Gateways = append(made.Gateways, g.Unmap())
		}
	}
	return made
}

// lies says what keeps a NIC from lying on its device of the node. A VLAN device comes in a moment, or its own row says why not.
func (d *Delegates) lies(ctx context.Context, want network.Interface) error {
	if want.Uplink == "" {
		return nil
	}
	if _, _, ok := attachment.VLANDevice(want.Uplink); ok {
		ctx, cancel := context.WithTimeout(ctx, moment)
		defer cancel()
		d.comes(ctx, want.Uplink)
	}
	_, err := netlink.LinkByName(want.Uplink)
	if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
		return fmt.Errorf("this node has no device %s, which %s names as master", want.Uplink, want.Definition)
	}
	return err
}

// comes waits until a VLAN device is there, or it is known why not.
func (d *Delegates) comes(ctx context.Context, name string) {
	for {
		row, ok, changed := status.Statuses.WatchOne(d.DB.Snapshot(), status.KeyOf(vlan.Devices, state.Join(name)))
		if ok && (row.Rev != 0 || row.Err != "") {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// list is what the plugins are told.
func (d *Delegates) list(want network.Interface) (*libcni.NetworkConfigList, error) {
	list, err := libcni.NetworkConfFromBytes([]byte(want.Config))
	if err != nil {
		return nil, fmt.Errorf("read the configuration of %s: %w", want.Definition, err)
	}
	return list, nil
}

// lacks names the plugins, those for addresses among them, that this node has no program for.
func (d *Delegates) lacks(list *libcni.NetworkConfigList) error {
	var names []string
	for _, p := range list.Plugins {
		for _, name := range []string{p.Network.Type, p.Network.IPAM.Type} {
			if _, err := d.program(name); name != "" && err != nil {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("this node has no CNI plugin %s: it lies in none of %s", strings.Join(names, ", "), strings.Join(d.Path, ", "))
}

func (d *Delegates) program(name string) (string, error) {
	for _, dir := range d.Path {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fs.ErrNotExist
}

// runtime is what plugins are told of the container.
func (d *Delegates) runtime(want network.Interface) *libcni.RuntimeConf {
	rt := &libcni.RuntimeConf{
		ContainerID: want.ContainerID, NetNS: d.Root + want.Netns, IfName: want.Interface,
		Args: [][2]string{
			{"IgnoreUnknown", "1"},
			{"K8S_POD_NAMESPACE", want.Namespace},
			{"K8S_POD_NAME", want.Pod},
			{"K8S_POD_INFRA_CONTAINER_ID", want.ContainerID},
			{"K8S_POD_UID", want.UID},
		},
	}
	if want.MAC != "" {
		rt.Args = append(rt.Args, [2]string{"MAC", want.MAC})
	}
	if want.Capabilities != "" {
		_ = json.Unmarshal([]byte(want.Capabilities), &rt.CapabilityArgs) // this program has written it
	}
	return rt
}

// remove takes a NIC away.
func (d *Delegates) remove(ctx context.Context, row network.Interface) error {
	if r, there := d.find(row); there {
		return d.take(ctx, r)
	}
	own, err := d.ours()
	if err != nil {
		return err
	}
	for a := range own.Attached() {
		if a.ContainerID == row.ContainerID && a.Interface == row.Interface {
			return own.Detach(ctx, a.ContainerID, a.Interface)
		}
	}
	return nil
}

// take has plugins take away what they have made. Where the network namespace is gone, so is the NIC: a plugin that has gone, too, is not
// missed then.
func (d *Delegates) take(ctx context.Context, r record) error {
	want := r.Made.Want
	list, err := d.list(want)
	if err != nil {
		return err
	}
	_, gone := os.Stat(d.Root + want.Netns)
	if want.DHCP != "" && d.Leaving != nil {
		d.Leaving(want)
	}
	if err := d.lacks(list); err != nil && gone == nil {
		return err
	} else if err == nil {
		if err := d.plugins.DelNetworkList(ctx, list, d.runtime(want)); err != nil && !harmless(err, gone) {
			return fmt.Errorf("%s: %w", want.Type, err)
		}
	}
	if gone == nil && len(want.Gateways) > 0 {
		err := inside.Do(d.Root+want.Netns, func(h *netlink.Handle) error {
			for _, gateway := range want.Gateways {
				if err := inside.Restore(h, want.First, gateway); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			d.Log.Warn("the first NIC of a pod does not get its default route back", "container", want.ContainerID, "pod", want.Namespace+"/"+want.Pod, "error", err)
		}
	}
	return d.drop(r)
}

// harmless tells whether a DEL has failed since its network namespace is gone, which some plugins complain of. The kernel has taken the
// NIC along.
func harmless(err, gone error) bool {
	var said *types.Error
	return gone != nil && errors.As(err, &said)
}
