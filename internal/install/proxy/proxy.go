// Package proxy finds what a kube-proxy has left on a node, and takes it away.
//
// # The world it models
//
// kube-proxy does not clear up when it ends. Which traces there are depends on its mode:
//
//	iptables   chains KUBE-* of tables nat, filter and mangle, in both families, and rules of the built-in chains that lead to them
//	ipvs       the same in less, device kube-ipvs0 with every address of a service, virtual servers and sets of addresses
//	nftables   tables ip kube-proxy and ip6 kube-proxy
//
// iptables keeps its tables in nftables today (nft backend), or in a place of its own (legacy). Rules that are left lead what passes the host's
// stack to backends that are long gone, and drop calls of services that had none.
//
// # Invariants
//
//   - The kubelet's own chains stay: KUBE-FIREWALL, KUBE-KUBELET-CANARY, KUBE-IPTABLES-HINT, KUBE-MARK-DROP.
//   - Of other chains only rules go that lead to a chain that goes. All that goes from nftables goes at once, or nothing does.
//   - What legacy tables, virtual servers and sets of addresses have is named at most: their own programs remove it.
//   - Connections are not touched: what netfilter has translated goes on.
//
// # Example
//
//	left, err := proxy.Look()
//	left.Text() // 12 chains KUBE-* of iptables (ip nat, ip filter)
//	did, err := left.Remove()
package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"weftnet.io/weftnet/internal/install/nft"
	"weftnet.io/weftnet/internal/sink/link"
)

// Names that kube-proxy has.
const (
	process = "kube-proxy"
	table   = "kube-proxy" // of nftables
	device  = "kube-ipvs0"
	prefix  = "KUBE-" // of chains
)

// kubelets are the chains that the kubelet makes.
var kubelets = []string{"KUBE-FIREWALL", "KUBE-KUBELET-CANARY", "KUBE-IPTABLES-HINT", "KUBE-MARK-DROP"}

func isProxys(chain string) bool {
	return strings.HasPrefix(chain, prefix) && !slices.Contains(kubelets, chain)
}

// Left is what a node has of a kube-proxy.
type Left struct {
	Process   int         // id of one that runs; 0: none does that can be seen
	Tables    []nft.Table // of nftables
	Chains    []nft.Chain // of iptables, with the nft backend
	Legacy    []Legacy    // of iptables, with the legacy backend
	Device    bool        // of ipvs
	Addresses int         // that this device has

	rules nft.Rules
}

// Look reads what the network namespace has that the caller is in.
func Look() (l Left, err error) {
	if l.Process, err = running("/proc"); err != nil {
		return l, err
	}
	if l.rules, err = nft.Read(); err != nil {
		return l, err
	}
	for _, t := range l.rules.Tables {
		if t.Name == table {
			l.Tables = append(l.Tables, t)
		}
	}
	for _, c := range l.rules.Chains {
		if isProxys(c.Name) && (c.Family == nft.IPv4 || c.Family == nft.IPv6) && c.Table != table {
			l.Chains = append(l.Chains, c)
		}
	}
	if l.Legacy, err = legacy(); err != nil {
		return l, err
	}
	if d, err := net.InterfaceByName(device); err == nil {
		addresses, _ := d.Addrs()
		l.Device, l.Addresses = true, len(addresses)
	}
	return l, nil
}

// Some tells whether there is anything that Remove removes.
func (l Left) Some() bool { return len(l.Tables)+len(l.Chains) > 0 || l.Device }

// Lines say what there is, one thing each. The first so many of them, if there is Some, are what Remove removes.
func (l Left) Lines() (list []string) {
	for _, t := range l.Tables {
		list = append(list, fmt.Sprintf("table %s %s of nftables", t.Family, t.Name))
	}
	in := map[nft.Table]int{}
	for _, c := range l.Chains {
		in[nft.Table{Family: c.Family, Name: c.Table}]++
	}
	for _, t := range order(in) {
		list = append(list, fmt.Sprintf("%d chains KUBE-* of iptables, in table %s %s of nftables", in[t], t.Family, t.Name))
	}
	if l.Device {
		list = append(list, fmt.Sprintf("device %s with %d addresses", device, l.Addresses))
	}
	return list
}

// Others say what there is that Remove leaves.
func (l Left) Others() (list []string) {
	for _, t := range l.Legacy {
		list = append(list, fmt.Sprintf("%d chains KUBE-* of %s-legacy, in table %s", t.Chains, map[nft.Family]string{nft.IPv4: "iptables", nft.IPv6: "ip6tables"}[t.Family], t.Table))
	}
	return list
}

func order(of map[nft.Table]int) (list []nft.Table) {
	for t := range of {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b nft.Table) int { return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Name, b.Name)) })
	return list
}

// Jumps are the rules of others that Remove removes with the chains, as they lead to them.
func (l Left) Jumps() (list []nft.Rule, err error) {
	in := map[nft.Table]int{}
	gone := map[nft.Chain]bool{}
	for _, c := range l.Chains {
		in[nft.Table{Family: c.Family, Name: c.Table}]++
		gone[c] = true
	}
	for _, t := range order(in) {
		rules, err := t.Leading()
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			if gone[nft.Chain{Family: r.Family, Table: r.Table, Name: r.To}] && !gone[r.Chain] {
				list = append(list, r)
			}
		}
	}
	return list, nil
}

// Remove takes away what Lines and Jumps say, and tells what it did. It refuses while a kube-proxy runs, which would put all of it back.
func (l Left) Remove(jumps []nft.Rule) (did []string, err error) {
	if l.Process != 0 {
		return nil, fmt.Errorf("kube-proxy runs on this node (process %d) and would put back what is taken away: delete its DaemonSet first, or end it", l.Process)
	}
	var errs []error
	lines := l.Lines()
	if err := l.rules.Remove(l.Tables, jumps, l.Chains); err != nil {
		errs = append(errs, err)
	} else {
		for _, line := range lines[:len(lines)-map[bool]int{true: 1}[l.Device]] {
			did = append(did, "removed "+line)
		}
	}
	if l.Device {
		if err := link.Delete([]string{device}); err != nil {
			errs = append(errs, err)
		} else {
			did = append(did, "removed "+lines[len(lines)-1])
		}
	}
	return did, errors.Join(errs...)
}

// running gives the id of a kube-proxy of this network namespace; 0: none that is seen from here, where processes of other containers may be
// hidden.
func running(proc string) (int, error) {
	own, err := os.Readlink(filepath.Join(proc, "thread-self/ns/net"))
	if err != nil {
		return 0, fmt.Errorf("find out which network namespace this is: %w", err)
	}
	list, err := os.ReadDir(proc)
	if err != nil {
		return 0, fmt.Errorf("list processes: %w", err)
	}
	for _, e := range list {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		name, err := os.ReadFile(filepath.Join(proc, e.Name(), "comm"))
		if err != nil || strings.TrimSpace(string(name)) != process {
			continue // it has ended meanwhile
		}
		if its, err := os.Readlink(filepath.Join(proc, e.Name(), "ns/net")); err == nil && its == own {
			return id, nil
		}
	}
	return 0, nil
}
