package link

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// aliasPrefix begins the alias of a device that is ours; the number of its attachment follows.
const aliasPrefix = "weft:"

// Links keeps veth pairs equal to table.Links.
type Links struct{ procSys string }

// NewLinks makes pairs in the caller's network namespace; procSys is where its /proc/sys is seen.
func NewLinks(procSys string) *Links { return &Links{procSys} }

// Dump lists the host's sides that are ours, with what can be seen of them from here.
func (*Links) Dump(context.Context) (iter.Seq2[state.Key, table.Link], error) {
	list, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	return func(yield func(state.Key, table.Link) bool) {
		for _, l := range list {
			if row, ours := seen(l); ours && !yield(state.Join(row.HostName), row) {
				return
			}
		}
	}, nil
}

// seen is what the host's side tells of a link.
func seen(l netlink.Link) (table.Link, bool) {
	a := l.Attrs()
	number, marked := strings.CutPrefix(a.Alias, aliasPrefix)
	if l.Type() != "veth" || !marked && !attach.IsHostName(a.Name) {
		return table.Link{}, false
	}
	incarnation, _ := strconv.ParseUint(number, 10, 32)
	row := table.Link{HostName: a.Name, HostMAC: a.HardwareAddr.String(), MTU: a.MTU, Incarnation: uint32(incarnation)}
	return row, true
}

// Equal compares what can be seen from here.
func (*Links) Equal(want, have table.Link) bool {
	return want.HostName == have.HostName && want.HostMAC == have.HostMAC && want.MTU == have.MTU && want.Incarnation == have.Incarnation
}

// Set makes links.
func (s *Links) Set(_ context.Context, rows []table.Link) error {
	var errs []error
	for _, r := range rows {
		if err := s.set(r); err != nil {
			errs = append(errs, &reconcile.RowError{Key: state.Join(r.HostName), Err: err})
		}
	}
	return errors.Join(errs...)
}

func (s *Links) set(row table.Link) error {
	ns, err := netns.GetFromPath(row.Netns)
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", row.Netns, err)
	}
	defer ns.Close()
	inside, err := netlink.NewHandleAt(ns)
	if err != nil {
		return fmt.Errorf("enter network namespace %s: %w", row.Netns, err)
	}
	defer inside.Close()
	if err := s.pair(row, ns); err != nil {
		return err
	}
	if err := workloadSide(inside, row); err != nil {
		return fmt.Errorf("configure %s inside %s: %w", row.Interface, row.Netns, err)
	}
	return s.hostSide(row)
}

// pair makes the two devices, unless they are there as they should be.
func (s *Links) pair(row table.Link, ns netns.NsHandle) error {
	if old, err := netlink.LinkByName(row.HostName); err == nil {
		have, ours := seen(old)
		if !ours {
			return fmt.Errorf("device %s is there already and not ours (kind %s)", row.HostName, old.Type())
		}
		have.MTU = row.MTU // is changed in place
		if s.Equal(row, have) {
			return netlink.LinkSetMTU(old, row.MTU)
		}
		if err := netlink.LinkDel(old); err != nil {
			return fmt.Errorf("remove the former device %s: %w", row.HostName, err)
		}
	}
	hostMAC, err1 := net.ParseMAC(row.HostMAC)
	mac, err2 := net.ParseMAC(row.MAC)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: row.HostName, HardwareAddr: hostMAC, MTU: row.MTU, NumTxQueues: 1, NumRxQueues: 1},
		PeerName:  row.Interface, PeerHardwareAddr: mac, PeerNamespace: netlink.NsFd(ns),
	}
	err := netlink.LinkAdd(veth)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make %s: the network namespace %s has a device %s already", row.HostName, row.Netns, row.Interface)
	}
	if err != nil {
		return fmt.Errorf("make veth pair %s: %w", row.HostName, err)
	}
	return nil
}

// workloadSide configures the device in the workload's namespace.
func workloadSide(h *netlink.Handle, row table.Link) error {
	l, err := h.LinkByName(row.Interface)
	if err != nil {
		return err
	}
	if err := errors.Join(h.LinkSetMTU(l, row.MTU), h.LinkSetUp(l)); err != nil {
		return err
	}
	if lo, err := h.LinkByName("lo"); err == nil {
		if err := h.LinkSetUp(lo); err != nil {
			return fmt.Errorf("set lo up: %w", err)
		}
	}
	gatewayMAC, err := net.ParseMAC(row.HostMAC)
	if err != nil {
		return err
	}
	for _, a := range row.Addresses {
		if err := h.AddrReplace(l, &netlink.Addr{IPNet: single(a), Flags: unix.IFA_F_NODAD}); err != nil {
			return fmt.Errorf("add address %s (is the family disabled in the namespace?): %w", a, err)
		}
		if err := workloadRoute(h, l, attach.Gateway(a), gatewayMAC); err != nil {
			return err
		}
	}
	return nil
}

func workloadRoute(h *netlink.Handle, l netlink.Link, gateway netip.Addr, mac net.HardwareAddr) error {
	family, zero := netlink.FAMILY_V4, net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	if gateway.Is6() {
		family, zero = netlink.FAMILY_V6, net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	}
	index := l.Attrs().Index
	err := h.NeighSet(&netlink.Neigh{LinkIndex: index, Family: family, State: netlink.NUD_PERMANENT, IP: gateway.AsSlice(), HardwareAddr: mac})
	if err != nil {
		return fmt.Errorf("set neighbour %s: %w", gateway, err)
	}
	on := &netlink.Route{LinkIndex: index, Dst: single(gateway), Scope: netlink.SCOPE_LINK}
	if err := h.RouteReplace(on); err != nil {
		return fmt.Errorf("set route to gateway %s: %w", gateway, err)
	}
	def := &netlink.Route{LinkIndex: index, Dst: &zero, Gw: gateway.AsSlice(), Flags: int(netlink.FLAG_ONLINK)}
	if err := h.RouteReplace(def); err != nil {
		return fmt.Errorf("set default route by %s: %w", gateway, err)
	}
	return nil
}

// hostSide marks the device as ours and sets it up.
func (s *Links) hostSide(row table.Link) error {
	l, err := netlink.LinkByName(row.HostName)
	if err != nil {
		return fmt.Errorf("find %s: %w", row.HostName, err)
	}
	if err := netlink.LinkSetIP6AddrGenMode(l, nl6None); err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
		return fmt.Errorf("keep %s from giving itself an address: %w", row.HostName, err)
	}
	if err := applyDevice(s.procSys, row.HostName); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("set %s up: %w", row.HostName, err)
	}
	mac, err := net.ParseMAC(row.MAC)
	if err != nil {
		return err
	}
	for _, a := range row.Addresses {
		family := netlink.FAMILY_V4
		if a.Is6() {
			family = netlink.FAMILY_V6
		}
		n := &netlink.Neigh{LinkIndex: l.Attrs().Index, Family: family, State: netlink.NUD_PERMANENT, IP: a.AsSlice(), HardwareAddr: mac}
		if err := netlink.NeighSet(n); err != nil {
			return fmt.Errorf("set neighbour %s on %s: %w", a, row.HostName, err)
		}
	}
	// The mark comes last: a device that has it is whole.
	if err := netlink.LinkSetAlias(l, fmt.Sprint(aliasPrefix, row.Incarnation)); err != nil {
		return fmt.Errorf("mark %s: %w", row.HostName, err)
	}
	return nil
}

// nl6None is IN6_ADDR_GEN_MODE_NONE: the device gets no link-local address by itself.
const nl6None = 1

// Unset removes links.
func (*Links) Unset(_ context.Context, rows []table.Link) error {
	var errs []error
	for _, r := range rows {
		if err := unset(r.HostName); err != nil {
			errs = append(errs, &reconcile.RowError{Key: state.Join(r.HostName), Err: err})
		}
	}
	return errors.Join(errs...)
}

func unset(name string) error {
	l, err := netlink.LinkByName(name)
	var gone netlink.LinkNotFoundError
	if errors.As(err, &gone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	if _, ours := seen(l); !ours {
		return nil
	}
	if err := netlink.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

// Check compares a link with what is really there, both sides. The error says what differs.
func (s *Links) Check(_ context.Context, row table.Link) error {
	l, err := netlink.LinkByName(row.HostName)
	if err != nil {
		return fmt.Errorf("find %s: %w", row.HostName, err)
	}
	have, _ := seen(l)
	if !s.Equal(row, have) {
		return fmt.Errorf("%s has MAC %s, MTU %d and number %d, want %s, %d and %d", row.HostName, have.HostMAC, have.MTU, have.Incarnation, row.HostMAC, row.MTU, row.Incarnation)
	}
	ns, err := netns.GetFromPath(row.Netns)
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", row.Netns, err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return fmt.Errorf("enter network namespace %s: %w", row.Netns, err)
	}
	defer h.Close()
	inside, err := h.LinkByName(row.Interface)
	if err != nil {
		return fmt.Errorf("find %s inside %s: %w", row.Interface, row.Netns, err)
	}
	if mac := inside.Attrs().HardwareAddr.String(); mac != row.MAC {
		return fmt.Errorf("%s inside has MAC %s, want %s", row.Interface, mac, row.MAC)
	}
	addrs, err := h.AddrList(inside, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, want := range row.Addresses {
		found := false
		for _, a := range addrs {
			found = found || a.IPNet.String() == single(want).String()
		}
		if !found {
			return fmt.Errorf("%s inside lacks address %s", row.Interface, want)
		}
	}
	return nil
}

func single(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}
