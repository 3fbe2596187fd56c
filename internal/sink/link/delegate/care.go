package delegate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/network"
)

// From these versions on, of the configuration that a definition states, plugins know the commands (CNI specification).
const (
	sinceCheck = "0.4.0"
	sinceGC    = "1.1.0" // and STATUS
)

// ErrBusy says that NICs are being made, so the plugins cannot be told yet which there are.
var ErrBusy = errors.New("further NICs are being made: what is left over of others is looked for later")

// Check tells whether the further NICs of a container that plugins make are there and as they were made. Plugins are asked whose definition states
// a version that has CHECK; of others the records say it.
func (d *Delegates) Check(ctx context.Context, containerID, first string) error {
	for i := range network.Interfaces.Prefix(d.DB.Snapshot(), state.Join(containerID)) {
		if i.First != first || i.Own {
			continue
		}
		r, there := d.find(i)
		if !there || r.Pending || !i.Same(r.Made.Want) {
			return fmt.Errorf("%s is not there", i.Title())
		}
		list, err := d.list(r.Made.Want)
		if err != nil {
			return err
		}
		if list.DisableCheck || !reaches(list, sinceCheck) {
			continue
		}
		if err := d.lacks(list); err != nil {
			return fmt.Errorf("%s: %w", i.Title(), err)
		}
		if err := d.plugins.CheckNetworkList(ctx, list, d.runtime(r.Made.Want)); err != nil {
			return fmt.Errorf("%s: CHECK by %s: %w", i.Title(), r.Made.Want.Type, err)
		}
	}
	return nil
}

// GC lets plugins forget what no NIC holds any more, those whose definition states a version that has GC. They hear of every NIC that there is, which
// a container runtime does not know of: it names first ones.
func (d *Delegates) GC(ctx context.Context) error {
	if !d.calls.TryLock() {
		return ErrBusy
	}
	defer d.calls.Unlock()
	valid, left, err := d.valid()
	if err != nil {
		return err
	}
	var failed []error
	for _, a := range left {
		failed = append(failed, d.forget(ctx, a))
	}
	for _, n := range d.networks() {
		if d.lacks(n.list) != nil {
			continue
		}
		if err := d.plugins.GCNetworkList(ctx, n.list, &libcni.GCArgs{ValidAttachments: valid[n.list.Name]}); err != nil {
			failed = append(failed, fmt.Errorf("network %s: GC by %s: %w", n.definition, n.types, err))
		}
	}
	return errors.Join(failed...)
}

// valid are the NICs of each network, by its name in configurations: those with a record, finished or not, and those that libcni remembers of
// containers that are there, whatever has become of the record. Others that it remembers are left over.
func (d *Delegates) valid() (out map[string][]types.GCAttachment, left []*libcni.NetworkAttachment, err error) {
	out = map[string][]types.GCAttachment{}
	add := func(name, containerID, ifname string) {
		one := types.GCAttachment{ContainerID: containerID, IfName: ifname}
		if !slices.Contains(out[name], one) {
			out[name] = append(out[name], one)
		}
	}
	for _, r := range d.all() {
		if list, err := d.list(r.Made.Want); err == nil {
			add(list.Name, r.Made.Want.ContainerID, r.Made.Want.Interface)
		}
	}
	cached, err := d.plugins.GetCachedAttachments("")
	if err != nil {
		return nil, nil, fmt.Errorf("read what libcni remembers: %w", err)
	}
	own, err := d.ours()
	if err != nil {
		return nil, nil, err
	}
	for _, a := range cached {
		_, recorded := d.find(network.Interface{ContainerID: a.ContainerID, Interface: a.IfName})
		if recorded || own.Holds(a.ContainerID) {
			add(a.Network, a.ContainerID, a.IfName)
		} else {
			left = append(left, a)
		}
	}
	return out, left, nil
}

// forget has what is left over taken away by the plugins that it was made by. libcni would ask those of another NIC of the network.
func (d *Delegates) forget(ctx context.Context, a *libcni.NetworkAttachment) error {
	list, err := libcni.NetworkConfFromBytes(a.Config)
	if err == nil {
		err = d.lacks(list)
	}
	if err == nil {
		err = d.plugins.DelNetworkList(ctx, list, &libcni.RuntimeConf{
			ContainerID: a.ContainerID, NetNS: a.NetNS, IfName: a.IfName, Args: a.CniArgs, CapabilityArgs: a.CapabilityArgs,
		})
	}
	if err != nil {
		return fmt.Errorf("take away %s of container %s, which is gone, from network %s: %w", a.IfName, a.ContainerID, a.Network, err)
	}
	return nil
}

// one is a network that NICs have been made of here.
type one struct {
	list       *libcni.NetworkConfigList
	definition string
	types      string // of its plugins
}

// networks are those whose version has STATUS and GC, each once: what differs between NICs of one, such as addresses, is no matter there.
func (d *Delegates) networks() (out []one) {
	seen := map[string]bool{}
	for _, r := range d.all() {
		list, err := d.list(r.Made.Want)
		if err != nil || !reaches(list, sinceGC) {
			continue
		}
		n := one{list: list, definition: r.Made.Want.Definition}
		for _, p := range list.Plugins {
			n.types = strings.TrimPrefix(n.types+" "+p.Network.Type, " ")
		}
		if key := list.Name + "\n" + n.types + "\n" + n.definition; !seen[key] {
			seen[key] = true
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b one) int { return strings.Compare(a.definition, b.definition) })
	return out
}

func (d *Delegates) all() []record {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []record
	for _, r := range d.have {
		out = append(out, r)
	}
	return out
}

func reaches(list *libcni.NetworkConfigList, since string) bool {
	is, err := version.GreaterThanOrEqualTo(list.CNIVersion, since)
	return err == nil && is
}
