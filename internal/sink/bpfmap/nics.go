package bpfmap

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"syscall"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// NICs keeps the map nics equal to table.NICs.
//
// A row whose attachment still stands is never removed: that its facts are not all in yet, as after a restart, is no
// reason to cut a workload off. Before the row of ifindex 0 appears, this node itself, its open connections are exempt.
type NICs struct {
	db        *state.DB
	statuses  *state.Table[table.NICStatus]
	nics      *ebpf.Map
	revisions *Revisions
	stays     func(ifindex uint32) bool
	exempt    func() error
}

// NewNICs works on the maps of a loaded datapath, and tells in statuses what is in the kernel, at first of what an earlier
// agent left there; stays tells whether an attachment stands for a device, exempt exempts what is open from the node's policy.
func NewNICs(db *state.DB, statuses *state.Table[table.NICStatus], m Maps, r *Revisions, stays func(ifindex uint32) bool, exempt func() error) (*NICs, error) {
	n := &NICs{db: db, statuses: statuses, nics: m.Map("nics"), revisions: r, stays: stays, exempt: exempt}
	there, err := nicRows(n.nics)
	if err != nil {
		return nil, err
	}
	return n, db.Write(func(tx *state.Tx) error {
		n.tell(tx, there, nil)
		statuses.MarkSynced(tx) // who workloads are is not known before: those whose labels have changed meanwhile are who they were
		return nil
	})
}

// tell writes which identity and set each attachment has in the kernel. The node itself is none.
func (n *NICs) tell(tx *state.Tx, there, gone []table.NIC) {
	for _, r := range there {
		if r.Ifindex != 0 {
			n.statuses.Put(tx, table.NICStatus{Incarnation: r.Incarnation, Identity: r.Identity, SetIndex: r.SetIndex})
		}
	}
	for _, r := range gone {
		n.statuses.Delete(tx, state.Join(r.Incarnation))
	}
}

func (n *NICs) write(there, gone []table.NIC) error {
	return n.db.Write(func(tx *state.Tx) error { n.tell(tx, there, gone); return nil })
}

// Dump reads the map.
func (n *NICs) Dump(context.Context) (iter.Seq2[state.Key, table.NIC], error) {
	rows, err := nicRows(n.nics)
	if err != nil {
		return nil, err
	}
	return func(yield func(state.Key, table.NIC) bool) {
		for _, r := range rows {
			if !yield(state.Join(r.Ifindex), r) {
				return
			}
		}
	}, nil
}

func nicRows(nics *ebpf.Map) ([]table.NIC, error) {
	var rows []table.NIC
	var ifindex uint32
	var v abi.Nic
	each := nics.Iterate()
	for each.Next(&ifindex, &v) {
		rows = append(rows, table.NIC{
			Ifindex: ifindex, Incarnation: v.Incarnation, Identity: identity.Number(v.Identity), SetIndex: v.Set, Network: v.Net,
			IPv4: v.Ipv4.IP(), IPv6: v.Ipv6.IP(), MAC: net.HardwareAddr(v.Mac[:]).String(), HostMAC: net.HardwareAddr(v.HostMac[:]).String(),
		})
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read map nics: %w", err)
	}
	return rows, nil
}

// Equal leaves out what the map does not hold: the name of the device.
func (n *NICs) Equal(want, have table.NIC) bool {
	have.Device = want.Device
	return want == have
}

// Set writes rows. A hash map replaces a value as a whole: no packet sees half of one.
func (n *NICs) Set(_ context.Context, rows []table.NIC) error {
	var errs []error
	var there []table.NIC
	for _, r := range rows {
		if err := n.set(r); err != nil {
			errs = append(errs, &reconcile.RowError{Key: state.Join(r.Ifindex), Err: err})
			continue
		}
		there = append(there, r)
	}
	return errors.Join(append(errs, n.write(there, nil))...)
}

// set writes a row. One that gets another set has that first, and then a new revision: a verdict of the set before may be
// remembered in between, and is older than that.
func (n *NICs) set(r table.NIC) error {
	v := abi.Nic{
		Incarnation: r.Incarnation, Identity: uint32(r.Identity), Set: r.SetIndex, Net: r.Network,
		Ipv4: abi.From(r.IPv4), Ipv6: abi.From(r.IPv6),
	}
	if err := errors.Join(mac(v.Mac[:], r.MAC), mac(v.HostMac[:], r.HostMAC)); err != nil {
		return err
	}
	var before abi.Nic
	isNew := missing(n.nics.Lookup(r.Ifindex, &before))
	if r.Ifindex == 0 && isNew {
		if err := n.exempt(); err != nil {
			return err
		}
	}
	v.Revision = before.Revision
	if err := n.nics.Put(r.Ifindex, v); err != nil {
		return Full("nics", err)
	}
	if isNew || before.Set == v.Set {
		return nil
	}
	var err error
	if v.Revision, err = n.revisions.Next(); err != nil {
		return err
	}
	return Full("nics", n.nics.Put(r.Ifindex, v))
}

// Unset removes rows.
func (n *NICs) Unset(_ context.Context, rows []table.NIC) error {
	var errs []error
	var gone []table.NIC
	for _, r := range rows {
		if n.stays(r.Ifindex) {
			errs = append(errs, &reconcile.RowError{Key: state.Join(r.Ifindex), Err: errors.New("its attachment stands, but what its row is made of is not all known yet")})
			continue
		}
		if err := n.nics.Delete(r.Ifindex); err != nil && !missing(err) {
			errs = append(errs, &reconcile.RowError{Key: state.Join(r.Ifindex), Err: err})
			continue
		}
		gone = append(gone, r)
	}
	return errors.Join(append(errs, n.write(nil, gone))...)
}

func mac(to []byte, text string) error {
	m, err := net.ParseMAC(text)
	if err != nil {
		return err
	}
	if copy(to, m) != 6 {
		return fmt.Errorf("MAC address %s has not 6 bytes", text)
	}
	return nil
}

func isFull(err error) bool { return errors.Is(err, syscall.E2BIG) || errors.Is(err, syscall.ENOSPC) }
